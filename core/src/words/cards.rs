//! Phrases for paying by card, from the slot to the bank's refusal.

macro_rules! card_words {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)*
        PayCard: "Картамен төлеу", "Оплатить картой", "Pay by card";
        CardTotal: "Картамен", "Картой", "By card";
        CardTooMuch:
            "Картамен төлеу шегі: {sum}. Бұл төлем тек қолма-қол қабылданады.",
            "Картой здесь можно оплатить не больше {sum}. Этот платёж — только наличными.",
            "A card can pay up to {sum} here. This payment is taken in cash only.";
        StartLeadCards:
            "Мемлекеттік бажды картамен немесе қолма-қол төлеп, төлем кодын алыңыз",
            "Оплатите пошлину картой или наличными и получите код платежа",
            "Pay a fee by card or in cash and get your payment code";
        NeedCashOrCard:
            "Карта немесе қолма-қол ақша (терминал қайтарым бермейді)",
            "Карта или наличные (терминал не даёт сдачи)",
            "A card, or cash (this terminal gives no change)";
        StateCardYes: "Карта қабылданады", "Карты принимаются", "Cards are accepted";
        CardInsertTitle: "Картаны салыңыз", "Вставьте карту", "Insert your card";
        CardInsertLead:
            "Чипін алға қаратып, тірелгенше",
            "Чипом вперёд, до упора",
            "Chip first, all the way in";
        CardInsertKeep:
            "Терминал өзі қайтарғанша картаны алмаңыз",
            "Не вынимайте карту, пока терминал не вернёт её сам",
            "Leave the card inside until the terminal gives it back";
        CardInsertKeepDip:
            "Экран айтқанша картаны алмаңыз",
            "Не вынимайте карту, пока об этом не скажет экран",
            "Leave the card inside until the screen tells you to take it";
        CardInsertPin:
            "Картаның ПИН-коды қажет болады",
            "Понадобится ПИН-код карты",
            "You will need the card’s PIN";
        CardNotACard:
            "Бұл карта емес, немесе ол теріс салынды. Қайта салып көріңіз.",
            "Это не карта, или она вставлена не той стороной. Попробуйте ещё раз.",
            "This is not a card, or it went in the wrong way. Please try again.";
        CardReadingTitle: "Картамен жұмыс жүріп жатыр", "Работаем с картой", "Working with your card";
        CardReadingLead: "Картаны алмаңыз", "Не вынимайте карту", "Do not take the card out";
        StageCardRead: "Картаны оқу", "Чтение карты", "Reading the card";
        StageBank: "Банктің растауы", "Подтверждение банка", "The bank’s confirmation";
        StageCodeGiven: "Төлем коды", "Код платежа", "The payment code";
        CardChooseTitle: "Немен төлейсіз?", "Чем оплатить?", "Pay with which one?";
        CardChooseLead:
            "Картаңызда бірнеше төлем қосымшасы бар",
            "На карте несколько платёжных приложений",
            "There are several payment applications on your card";
        PinTitle: "ПИН-кодты енгізіңіз", "Введите ПИН-код", "Enter your PIN";
        PinLead:
            "Төмендегі пернетақтада теріп, жасыл пернені басыңыз",
            "Наберите его на клавиатуре ниже и нажмите зелёную клавишу",
            "Type it on the keypad below and press the green key";
        PinCover:
            "Пернетақтаны қолыңызбен жабыңыз",
            "Прикройте клавиатуру рукой",
            "Cover the keypad with your hand";
        PinSecret:
            "ПИН-кодты терминал да, біз де көрмейміз",
            "Ни терминал, ни мы не видим ваш ПИН-код",
            "Neither this terminal nor we can see your PIN";
        BankAskedTitle: "Банктен сұрап жатырмыз…", "Запрашиваем банк…", "Asking your bank…";
        BankSlow:
            "Банк әдеттегіден ұзақ жауап беріп жатыр. Жауап келмесе, ақша алынбайды.",
            "Банк отвечает дольше обычного. Если ответа не будет, деньги не спишутся.",
            "The bank takes longer than usual. If it does not answer, nothing is taken.";
        WrongPinTitle: "ПИН-код қате", "ПИН-код неверный", "Wrong PIN";
        WrongPinLead:
            "Ақша алынған жоқ. Қайта көріңіз: қате кодты бірнеше рет терсеңіз, банк картаны бұғаттайды.",
            "Деньги не списаны. Попробуйте ещё раз: после нескольких ошибок банк заблокирует карту.",
            "Nothing was taken. Try again: after several mistakes the bank blocks the card.";
        PinAgain: "Қайта енгізу", "Ввести ещё раз", "Enter it again";
        GiveCardBack: "Картаны қайтару", "Вернуть карту", "Give my card back";
        TakeCardTitle: "Картаңызды алыңыз", "Заберите карту", "Take your card";
        TakeCardLead:
            "Карта алынған соң жалғастырамыз",
            "Когда вы заберёте карту, мы продолжим",
            "We go on when you have taken it";
        TakeCardLeadDip:
            "Картаны оқу құрылғысынан суырып алыңыз, содан кейін жалғастырамыз",
            "Вытяните карту из считывателя, и мы продолжим",
            "Draw it out of the reader, and we go on";
        TakeCardOut: "Картамды аламын", "Забрать карту", "Take my card out";
        TakeCardOrUnpaid:
            "Картаңызды ұмытпаңыз: {seconds} секунд ішінде алынбаса, төлем тоқтатылады",
            "Не забудьте карту: если не забрать её за {seconds} секунд, оплата будет отменена",
            "Do not forget your card: if it is not taken in {seconds} seconds, the payment is cancelled";
        TakeCardRemember: "Картаңызды ұмытпаңыз", "Не забудьте свою карту", "Do not forget your card";
        StateCardLeft:
            "Картамен төлеу тоқтап тұр: біреудің картасы қалып қойды",
            "Карты не принимаются: кто-то оставил свою карту",
            "Cards are not accepted: somebody left a card inside";
        TakeCardForgotten:
            "Картаңызды ұмытпаңыз: {seconds} секундтан кейін ол терминалда сақтауға қалады",
            "Не забудьте карту: через {seconds} секунд она останется в терминале на хранение",
            "Do not forget your card: in {seconds} seconds it will be kept inside the terminal";
        TakeCardStuck:
            "Карта шықпай тұр. Қызметкер шақырыңыз: {phone}.",
            "Карта не выходит. Вызовите сотрудника: {phone}.",
            "The card does not come out. Please call: {phone}.";
        CardKept: "Карта терминалда қалды", "Карта осталась в терминале", "Your card was kept";
        CardKeptLead:
            "Ол уақытында алынбады. Төлем жасалған жоқ, ақша алынбайды. Картаны қайтару: {phone}.",
            "Её не забрали вовремя. Оплаты не было, деньги не спишутся. Вернуть карту: {phone}.",
            "It was not taken in time. Nothing was paid and nothing will be taken. To get it back: {phone}.";
        CardUnpaid: "Төлем жасалған жоқ", "Оплаты не было", "Nothing was paid";
        CardLeftUnpaid:
            "Карта уақытында алынбады, сондықтан төлем болған жоқ. Ақша алынбайды.",
            "Карту не забрали вовремя, поэтому оплаты не было. Деньги не спишутся.",
            "The card was not taken in time, so nothing was paid. Nothing will be taken.";
        CardTakenOut: "Карта алынды", "Карта вынута", "The card was taken out";
        NothingTaken:
            "Төлем жасалған жоқ, ақша алынған жоқ",
            "Оплаты не было, деньги не списаны",
            "Nothing was paid and nothing was taken";
        CardPulled:
            "Карта ерте алынды. Төлем тоқтатылды: банк ақшаны ұстап қалса, оны өзіміз қайтарамыз.",
            "Карту вынули раньше времени. Оплата отменена: если банк удержал деньги, мы сами их вернём.",
            "The card was taken out too early. The payment is cancelled: if the bank holds the money, we release it ourselves.";
        CardRefusedAfter:
            "Карта төлемді қабылдамады. Банк ақшаны ұстап қалса, оны өзіміз қайтарамыз.",
            "Карта не приняла оплату. Если банк удержал деньги, мы сами их вернём.",
            "The card did not accept the payment. If the bank holds the money, we release it ourselves.";
        CardNoAnswer:
            "Банк жауап бермеді. Төлем тоқтатылды: ақша ұсталған болса, оны өзіміз қайтарамыз.",
            "Банк не ответил. Оплата отменена: если деньги удержаны, мы сами их вернём.",
            "The bank did not answer. The payment is cancelled: if money is held, we release it ourselves.";
        CardUnreadable: "Карта оқылмады", "Карта не читается", "The card cannot be read";
        CardUnreadableLead:
            "Ақша алынған жоқ. Чипін сүртіп, қайта салыңыз немесе басқа картамен төлеңіз.",
            "Деньги не списаны. Протрите чип и вставьте снова или оплатите другой картой.",
            "Nothing was taken. Wipe the chip and insert it again, or pay with another card.";
        CardNotTaken:
            "Мұндай карталар бұл жерде қабылданбайды. Басқа картамен немесе қолма-қол төлеңіз.",
            "Такие карты здесь не принимаются. Оплатите другой картой или наличными.",
            "Cards of this kind are not accepted here. Pay with another card or in cash.";
        PinTimedOut: "ПИН-код енгізілмеді", "ПИН-код не введён", "No PIN was entered";
        PinPadFailed: "Пернетақта жұмыс істемейді", "Клавиатура не работает", "The keypad does not work";
        CardDeclined: "Карта қабылданбады", "Карта отклонена", "The card was declined";
        DeclineFunds:
            "Картада ақша жеткіліксіз. Ақша алынған жоқ. Басқа картамен немесе қолма-қол төлеңіз.",
            "На карте недостаточно денег. Деньги не списаны. Оплатите другой картой или наличными.",
            "There is not enough money on the card. Nothing was taken. Pay with another card or in cash.";
        DeclineWrongPin:
            "ПИН-код қате. Ақша алынған жоқ.",
            "ПИН-код неверный. Деньги не списаны.",
            "The PIN is wrong. Nothing was taken.";
        DeclinePinTries:
            "ПИН-код тым көп рет қате енгізілді. Картаны шығарған банкке хабарласыңыз.",
            "ПИН-код введён неверно слишком много раз. Обратитесь в банк, выпустивший карту.",
            "The PIN was wrong too many times. Contact the bank that issued the card.";
        DeclineExpired:
            "Картаның мерзімі өткен. Басқа картамен немесе қолма-қол төлеңіз.",
            "Срок действия карты истёк. Оплатите другой картой или наличными.",
            "The card has expired. Pay with another card or in cash.";
        DeclineLimit:
            "Сома картаның лимитінен асады. Лимитті банк қосымшасында тексеріңіз. Ақша алынған жоқ.",
            "Сумма превышает лимит карты. Проверьте лимит в приложении банка. Деньги не списаны.",
            "The sum is above the card’s limit. Check the limit in your bank’s app. Nothing was taken.";
        DeclineNotPermitted:
            "Банк бұл картамен мұндай төлемге рұқсат бермейді. Басқа картамен немесе қолма-қол төлеңіз.",
            "Банк не разрешает такие платежи этой картой. Оплатите другой картой или наличными.",
            "The bank does not permit such payments with this card. Pay with another card or in cash.";
        DeclineBlocked:
            "Карта бұғатталған. Картаны шығарған банкке хабарласыңыз. Ақша алынған жоқ.",
            "Карта заблокирована. Обратитесь в банк, выпустивший карту. Деньги не списаны.",
            "The card is blocked. Contact the bank that issued it. Nothing was taken.";
        DeclineIssuerUnavailable:
            "Картаны шығарған банк қазір жауап бермейді. Кейінірек көріңіз немесе қолма-қол төлеңіз.",
            "Банк, выпустивший карту, сейчас не отвечает. Попробуйте позже или оплатите наличными.",
            "The bank that issued the card does not answer now. Try later or pay in cash.";
        DeclineTechnical:
            "Картамен төлеу қазір мүмкін емес. Ақша алынған жоқ. Қолма-қол төлеңіз немесе кейінірек келіңіз.",
            "Оплата картой сейчас невозможна. Деньги не списаны. Оплатите наличными или приходите позже.",
            "Cards cannot be charged at the moment. Nothing was taken. Pay in cash or come back later.";
        DeclineOther:
            "Банк себебін айтпай бас тартты. Картаны шығарған банкке хабарласыңыз. Ақша алынған жоқ.",
            "Банк отказал без объяснения. Обратитесь в банк, выпустивший карту. Деньги не списаны.",
            "The bank declined without a reason. Contact the bank that issued the card. Nothing was taken.";
        DeclineByCard:
            "Карта бұл төлемді орындамайды. Басқа картамен немесе қолма-қол төлеңіз.",
            "Карта не выполняет этот платёж. Оплатите другой картой или наличными.",
            "The card does not make this payment. Pay with another card or in cash.";
    } };
}
