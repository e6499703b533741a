//! Phrases up to the quote: start, catalogue, service, payer.

macro_rules! choosing_words {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)*
        // Everywhere
        LanguageName: "Қазақша", "Русский", "English";
        LanguageShort: "ҚАЗ", "РУС", "ENG";
        ScrollUp: "Жоғары", "Вверх", "Up";
        ScrollDown: "Төмен", "Вниз", "Down";
        Back: "Артқа", "Назад", "Back";
        Cancel: "Бас тарту", "Отмена", "Cancel";
        Next: "Әрі қарай", "Далее", "Next";
        Done: "Дайын", "Готово", "Done";
        No: "Жоқ", "Нет", "No";
        Erase: "Өшіру", "Стереть", "Erase";
        Clear: "Тазалау", "Очистить", "Clear";
        TryAgain: "Қайталап көру", "Попробовать ещё раз", "Try again";
        LargeText: "Ірі мәтін", "Крупный текст", "Large text";
        HighContrast: "Жоғары контраст", "Высокий контраст", "High contrast";
        LowReach: "Төмен түсіру", "Опустить ниже", "Move lower";
        Footer:
            "Терминал №\u{a0}{kiosk} · Анықтама: {phone}",
            "Терминал №\u{a0}{kiosk} · Справка: {phone}",
            "Terminal No.\u{a0}{kiosk} · Help: {phone}";
        StepService: "Қызмет", "Услуга", "Service";
        StepPayer: "Төлеуші", "Плательщик", "Payer";
        StepPayment: "Төлем", "Оплата", "Payment";
        StepCode: "Код", "Код", "Code";

        // Start
        Title: "Мемлекеттік қызметтерге төлем", "Оплата государственных услуг", "Pay for government services";
        Start: "Бастау үшін экранды түртіңіз", "Коснитесь экрана, чтобы начать", "Touch the screen to start";
        StartLead:
            "Мемлекеттік бажды қолма-қол төлеп, төлем кодын алыңыз",
            "Оплатите пошлину наличными и получите код платежа",
            "Pay a fee in cash and get your payment code";
        StateReceiptsYes: "Түбіртек басылады", "Чеки печатаются", "Receipts are printed";
        StateReceiptsNo:
            "Түбіртек басылмайды, код экранда көрсетіледі",
            "Чеки не печатаются, код будет на экране",
            "No receipts now, the code is shown on the screen";
        StateCashYes: "Қолма-қол ақша қабылданады", "Наличные принимаются", "Cash is accepted";
        StateCashNo: "Қолма-қол ақша қабылданбайды", "Наличные не принимаются", "Cash is not accepted";
        StateCardNo: "Карта қабылданбайды", "Карты не принимаются", "Cards are not accepted";
        StateLinkYes: "Код бірден беріледі", "Код выдаётся сразу", "Codes are given at once";
        StateLinkNo:
            "Орталықпен байланыс жоқ",
            "Нет связи с центром",
            "No link to the processing center";
        HaveSlip:
            "Менде өтініш түбіртегі немесе ваучер бар",
            "У меня есть талон или ваучер",
            "I have a claim slip or a voucher";
        WasInterrupted:
            "Төлемім осы жерде үзіліп қалды",
            "Мой платёж прервался здесь",
            "My payment was interrupted here";

        // Catalogue
        ChooseService: "Қызметті таңдаңыз", "Выберите услугу", "Choose a service";
        ChooseLead:
            "Бағасы әр қызметтің жанында көрсетілген",
            "Стоимость указана рядом с каждой услугой",
            "The price is shown with each service";
        SearchHint: "Қызметтің атауын теріңіз", "Введите название услуги", "Type the name of a service";
        SearchClose: "Пернетақтаны жабу", "Закрыть клавиатуру", "Close the keyboard";
        SearchEmpty:
            "Ештеңе табылмады. Басқа сөзбен іздеп көріңіз.",
            "Ничего не найдено. Попробуйте другое слово.",
            "Nothing found. Try another word.";
        GroupAll: "Барлығы", "Все", "All";
        GroupDocuments: "Құжаттар", "Документы", "Documents";
        GroupTransport: "Көлік", "Транспорт", "Transport";
        GroupFamily: "Отбасы", "Семья", "Family";
        GroupJustice: "Сот және нотариат", "Суд и нотариат", "Courts and notaries";
        GroupProperty: "Мүлік және бизнес", "Имущество и бизнес", "Property and business";

        // One service
        Price: "Құны", "Стоимость", "Price";
        PriceHow: "Қалай есептеледі", "Как рассчитана", "How it is computed";
        PriceFixed: "Белгіленген сома", "Установленная сумма", "Fixed sum";
        PriceByMrp:
            "{multiple} АЕК × {mrp}",
            "{multiple} МРП × {mrp}",
            "{multiple} × monthly index (MCI) of {mrp}";
        Payee: "Алушы", "Получатель", "Payee";
        PayeeBin: "Алушының БСН-і", "БИН получателя", "Payee’s BIN";
        NeedIin:
            "Қызмет көрсетілетін адамның ЖСН-і",
            "ИИН того, для кого услуга",
            "The IIN of the person the service is for";
        NeedCash:
            "Қолма-қол ақша: терминал қайтарым бермейді",
            "Наличные: терминал не даёт сдачи",
            "Cash: this terminal gives no change";
        HowCodeUsedText:
            "Төлем кодын eGov порталында енгізесіз немесе ХҚО-да көрсетесіз. Бір код бір рет жарамды.",
            "Код платежа введите на портале eGov или покажите в ЦОНе. Один код действует один раз.",
            "Enter the payment code on the eGov portal or show it at a public service center. One code works once.";
        PayThis: "Төлеу", "Оплатить", "Pay";

        // Payer
        IinTitle: "ЖСН енгізіңіз", "Введите ИИН", "Enter your IIN";
        IinLead:
            "Жеке куәліктегі 12 цифр",
            "12 цифр с удостоверения личности",
            "12 digits on your identity card";
        IinWhy:
            "ЖСН төлемді сіздің атыңызға тіркеу үшін керек",
            "ИИН нужен, чтобы записать платёж на ваше имя",
            "We need your IIN to register the payment in your name";
        IinPrivacy:
            "Нөмір тек төлем үшін пайдаланылады және шифрланып сақталады. Жалғастыру арқылы сіз бұған келісесіз.",
            "Номер используется только для платежа и хранится зашифрованным. Продолжая, вы соглашаетесь с этим.",
            "The number is used for this payment only and is stored encrypted. By going on you agree to this.";
        IinEcho: "Енгізілген ЖСН: {digits}", "Введённый ИИН: {digits}", "IIN entered: {digits}";
        IinLooksRight:
            "Цифрларды құжатпен салыстырып шығыңыз",
            "Сверьте цифры с документом",
            "Compare the digits with your document";
        IinErrorControl:
            "Бақылау цифры сәйкес келмейді: бір цифр қате терілген болуы мүмкін. Тексеріңіз.",
            "Контрольная цифра не сходится: вероятно, одна цифра введена неверно. Проверьте.",
            "The check digit does not fit: one digit is probably wrong. Please check.";
        IinErrorDate:
            "Алғашқы 6 цифр — туған күн. Мұндай күн болуы мүмкін емес. Тексеріңіз.",
            "Первые 6 цифр — дата рождения. Такой даты быть не может. Проверьте.",
            "The first 6 digits are the date of birth. There is no such date. Please check.";
        IinErrorCentury:
            "Жетінші цифр 1-ден 6-ға дейін болуы керек. Тексеріңіз.",
            "Седьмая цифра должна быть от 1 до 6. Проверьте.",
            "The seventh digit must be 1 to 6. Please check.";
        IinErrorLength:
            "ЖСН 12 цифрдан тұрады. Барлығын енгізіңіз.",
            "ИИН состоит из 12 цифр. Введите все.",
            "An IIN has 12 digits. Please enter all of them.";
        RegistryWrong:
            "Тізілімде мұндай ЖСН жоқ. Нөмірді құжаттан қарап, қайта енгізіңіз.",
            "В реестре нет такого ИИН. Сверьте номер с документом и введите ещё раз.",
            "The registry has no such IIN. Compare it with your document and enter it again.";
        RegistryTooOften:
            "ЖСН бірнеше рет табылмады. Құжатыңызды тексеріңіз немесе {phone} нөміріне хабарласыңыз.",
            "ИИН не найден несколько раз. Проверьте документ или позвоните: {phone}.",
            "The IIN was not found several times. Check your document or call {phone}.";
        RegistryUnavailable:
            "Тізілім қазір жауап бермейді",
            "Реестр сейчас не отвечает",
            "The registry does not answer right now";
        RegistryUnavailableLead:
            "Бұл сіздің қатеңіз емес: ЖСН-іңізді қазір тексере алмаймыз. Сәл кейінірек қайталап көріңіз. Ақша салынған жоқ.",
            "Это не ваша ошибка: мы сейчас не можем проверить ИИН. Попробуйте чуть позже. Деньги не внесены.",
            "This is not your mistake: we cannot check your IIN right now. Try a little later. No money was inserted.";

        // Asking the center
        Checking: "Тексерілуде…", "Проверяем…", "Checking…";
        CheckingPayer:
            "ЖСН-ді мемлекеттік тізілімнен тексеріп жатырмыз",
            "Проверяем ИИН в государственном реестре",
            "We are checking the IIN in the state registry";
        CheckingQuote:
            "Төлем орталығынан соманы сұрап жатырмыз",
            "Запрашиваем сумму у платёжного центра",
            "We are asking the payment center for the sum";
        CheckingSlip:
            "Нөмірді төлем орталығынан сұрап жатырмыз",
            "Запрашиваем номер у платёжного центра",
            "We are asking the payment center about the number";
        CheckingSlow:
            "Жауап әдеттегіден ұзақ келіп жатыр. Ақша салынған жоқ, ештеңе жоғалмайды.",
            "Ответ идёт дольше обычного. Деньги не внесены, ничего не пропадёт.",
            "The answer takes longer than usual. No money is in, nothing can be lost.";
        CheckingStuck:
            "Күте беруге немесе кейінірек қайта келуге болады",
            "Можно подождать ещё или вернуться позже",
            "You can go on waiting or come back later";
        CenterUnavailable:
            "Төлем орталығы жауап бермейді",
            "Платёжный центр не отвечает",
            "The payment center does not answer";
        CenterUnavailableLead:
            "Бұл сіздің қатеңіз емес. Сәл кейінірек қайталап көріңіз. Ақша салынған жоқ.",
            "Это не ваша ошибка. Попробуйте чуть позже. Деньги не внесены.",
            "This is not your mistake. Try a little later. No money was inserted.";
        CenterRebuilding:
            "Төлем орталығы мәліметтерін қалпына келтіріп жатыр",
            "Платёжный центр восстанавливает данные",
            "The payment center is restoring its records";
        CenterRebuildingLead:
            "Ештеңе жоғалған жоқ. Чектеріңізді сақтап, кейінірек келіңіз. Ақша салынған жоқ.",
            "Ничего не потеряно. Сохраните свои квитанции и приходите позже. Деньги не внесены.",
            "Nothing is lost. Keep your slips and come again later. No money was inserted.";
        LimitReached:
            "Қолма-қол төлем шегіне жетті",
            "Достигнут предел оплаты наличными",
            "The limit for cash payments is reached";
        LimitReachedLead:
            "Бұл төлем бір төлемге немесе бір күнге рұқсат етілген сомадан асады. Басқа тәсілмен төлеңіз немесе ертең келіңіз.",
            "Этот платёж превышает сумму, разрешённую за раз или за день. Оплатите другим способом или приходите завтра.",
            "This payment exceeds what is allowed at once or per day. Pay in another way or come tomorrow.";
        PaymentRefused:
            "Орталық бұл төлемді бастай алмады",
            "Центр не смог начать этот платёж",
            "The center could not start this payment";
        QuoteDiffers:
            "Орталықтың жауабы таңдалған қызметке сәйкес келмеді, сондықтан төлем тоқтатылды",
            "Ответ центра не совпал с выбранной услугой, поэтому платёж остановлен",
            "The center’s answer did not match the service you chose, so the payment was stopped";
    } };
}
