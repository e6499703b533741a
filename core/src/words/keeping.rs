//! Phrases for money that is kept: claim slips, vouchers, paper that failed, payments that were interrupted.

macro_rules! keeping_words {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)*
        // Claim slip
        ClaimTitle: "Ақшаңыз сақталды", "Ваши деньги сохранены", "Your money is safe";
        ClaimLead:
            "Ақша қабылданды, бірақ орталық әлі жауап берген жоқ. Код немесе ваучер кейін беріледі.",
            "Деньги приняты, но центр пока не ответил. Код или ваучер вы получите позже.",
            "Your money was accepted, but the center has not answered yet. The code or a voucher follows.";
        ClaimNumber: "Өтініш нөмірі", "Номер обращения", "Claim number";
        ClaimHow:
            "Кез келген терминалда «Менде өтініш түбіртегі бар» дегенді таңдап, осы нөмір мен ЖСН-ді енгізіңіз",
            "На любом терминале выберите «У меня есть талон», введите этот номер и ИИН",
            "At any terminal choose “I have a claim slip”, enter this number and your IIN";
        ClaimPhone: "Сұрақтар: {phone}", "Вопросы: {phone}", "Questions: {phone}";
        ClaimKeep:
            "Өтініш түбіртегін код алғанша сақтаңыз",
            "Сохраните талон, пока не получите код",
            "Keep the slip until you have the code";
        ClaimPhotograph:
            "Түбіртек басылмады: осы экранды суретке түсіріп алыңыз",
            "Талон не напечатан: сфотографируйте этот экран",
            "The slip could not be printed: photograph this screen";
        TakeSlip: "Өтініш түбіртегін алыңыз", "Возьмите талон обращения", "Take your claim slip";

        // Held money
        HeldTitle: "Ақшаңыз сақталды", "Ваши деньги сохранены", "Your money is safe";
        HeldStopped:
            "Сіз төлемді тоқтаттыңыз. Салынған ақша орталықта сақтаулы.",
            "Вы остановили платёж. Внесённые деньги хранятся в центре.",
            "You stopped the payment. The money you inserted is kept at the center.";
        HeldRemainder:
            "Салынған ақша төлемнен артық болды. Қалдық орталықта сақтаулы.",
            "Внесено больше, чем нужно. Остаток хранится в центре.",
            "More came in than was needed. The remainder is kept at the center.";
        HeldSuspense:
            "Бір купюраның қайда екені анықталмады. Орталық тексеріп, шешім қабылдайды.",
            "Неясно, где одна из купюр. Центр проверит и примет решение.",
            "It is unclear where one note is. The center will check and decide.";
        HeldNoPayment:
            "Купюра төлем ашылмай тұрып қабылданды. Ол орталықта сақтаулы.",
            "Купюра принята, когда платёж не был открыт. Она хранится в центре.",
            "A note was taken while no payment was open. It is kept at the center.";
        HeldRefused:
            "Орталық төлемді қабылдай алмады. Барлық ақша орталықта сақтаулы.",
            "Центр не смог принять платёж. Все деньги хранятся в центре.",
            "The center could not accept the payment. All the money is kept at the center.";
        HeldJournalFailed:
            "Терминал төлем кезінде істен шықты. Ақшаңыз орталықта сақтаулы.",
            "Терминал отказал во время платежа. Ваши деньги хранятся в центре.",
            "The terminal failed during the payment. Your money is kept at the center.";
        FoundTitle: "Купюраңыз сақталды", "Ваша купюра сохранена", "Your note is safe";
        FoundLead:
            "Терминал купюраны төлем ашылмай тұрып қабылдады. Ол сіздікі және осы нөмірмен жазылды.",
            "Терминал принял купюру, когда платёж не был открыт. Она ваша и записана под этим номером.",
            "The terminal took a note while no payment was open. It is yours and recorded under this number.";
        FoundHow:
            "Ақшаны алу үшін хабарласып, осы нөмірді айтыңыз: {phone}",
            "Чтобы получить деньги, позвоните и назовите этот номер: {phone}",
            "To get the money, call and name this number: {phone}";
        FoundNumber: "Жазба нөмірі", "Номер записи", "Record number";
        FoundSum: "Сома", "Сумма", "Sum";
        FoundPrint: "Қағазға басып шығару", "Напечатать талон", "Print a slip";
        FoundPrinted: "Талонды алыңыз", "Возьмите талон", "Take your slip";
        Voucher: "Қалдық ваучері", "Ваучер на остаток", "Remainder voucher";
        VoucherNumber: "Ваучер нөмірі", "Номер ваучера", "Voucher number";
        VoucherSum: "Ваучердегі сома", "Сумма на ваучере", "Sum on the voucher";
        VoucherHow:
            "Кез келген терминалда сол ЖСН-мен келесі төлемге пайдаланыңыз",
            "Используйте для следующего платежа на любом терминале с тем же ИИН",
            "Use it for your next payment at any terminal with the same IIN";
        VoucherRefund:
            "Ақшаны қайтару үшін хабарласыңыз: {phone}",
            "Чтобы вернуть деньги, позвоните: {phone}",
            "To get the money back, call {phone}";
        TakeVoucher: "Ваучерді алыңыз", "Возьмите ваучер", "Take your voucher";

        // I have a claim slip or a voucher
        SlipTitle:
            "Қағаздағы нөмірді енгізіңіз",
            "Введите номер с бумаги",
            "Enter the number on your paper";
        SlipLead:
            "Өтініш түбіртегінде — 13 цифр, ваучерде — 12 цифр",
            "На талоне 13 цифр, на ваучере 12 цифр",
            "13 digits on a claim slip, 12 digits on a voucher";
        VoucherEnter: "Ваучер нөмірін енгізіңіз", "Введите номер ваучера", "Enter the voucher number";
        SlipEcho: "Енгізілген нөмір: {digits}", "Введённый номер: {digits}", "Number entered: {digits}";
        SlipErrorControl:
            "Бақылау цифры сәйкес келмейді: бір цифр қате терілген. Тексеріңіз.",
            "Контрольная цифра не сходится: одна из цифр неверна. Проверьте.",
            "The check digit does not fit: one digit is wrong. Please check.";
        SlipErrorLength:
            "Нөмір толық емес: барлық цифрларды енгізіңіз",
            "Номер не полный: введите все цифры",
            "The number is incomplete: enter all digits";
        SlipIinLead:
            "Төлем кезінде енгізілген ЖСН",
            "ИИН, который был введён при оплате",
            "The IIN that was entered for the payment";
        ClaimNotArrived:
            "Төлем орталыққа әлі жеткен жоқ",
            "Платёж ещё не дошёл до центра",
            "The payment has not reached the center yet";
        ClaimNotArrivedLead:
            "Өтініш түбіртегін сақтаңыз және кейінірек қайталап көріңіз. Ақшаңыз жоғалмайды. Сұрақтар: {phone}.",
            "Сохраните талон и попробуйте позже. Ваши деньги не пропадут. Вопросы: {phone}.",
            "Keep the slip and try again later. Your money is not lost. Questions: {phone}.";
        NotFound: "Табылмады", "Не найдено", "Not found";
        NoMatch:
            "Нөмір мен ЖСН сәйкес келмейді. Екеуін де тексеріп, қайта енгізіңіз.",
            "Номер и ИИН не подходят друг к другу. Проверьте оба и введите ещё раз.",
            "The number and the IIN do not belong together. Check both and enter them again.";
        TooManyAttempts:
            "Қате нөмір тым көп енгізілді. Біраз күтіңіз немесе хабарласыңыз: {phone}.",
            "Слишком много неверных номеров. Подождите немного или позвоните: {phone}.",
            "Too many wrong numbers. Please wait a while or call {phone}.";
        VoucherFound: "Ваучер табылды", "Ваучер найден", "Voucher found";
        VoucherNotFree:
            "Бұл ваучер пайдаланылған, басқа төлемде тұр немесе ЖСН сәйкес емес. Сұрақтар: {phone}.",
            "Этот ваучер использован, занят другим платежом или ИИН не тот. Вопросы: {phone}.",
            "This voucher is spent, reserved by another payment, or the IIN differs. Questions: {phone}.";
        VoucherUnknown:
            "Орталық мұндай ваучерді таппады. Нөмірді тексеріп, қайта енгізіңіз.",
            "Центр не нашёл такого ваучера. Проверьте номер и введите ещё раз.",
            "The center has no such voucher. Check the number and enter it again.";
        UseVoucher: "Ваучермен төлеу", "Оплатить ваучером", "Pay with the voucher";
        VoucherCovers:
            "Ваучер соманы толық жабады, ақша салудың қажеті жоқ",
            "Ваучер покрывает всю сумму, вносить деньги не нужно",
            "The voucher covers the full sum, no cash is needed";

        // Paper that failed
        CannotPrint: "Түбіртек басылмады", "Чек не напечатан", "The receipt could not be printed";
        CannotPrintLead:
            "Төлем өтті. Осы экранды суретке түсіріп алыңыз.",
            "Оплата прошла. Сфотографируйте этот экран.",
            "The payment is made. Photograph this screen.";
        ReceiptOwed:
            "Түбіртек сізге тиесілі: оны кез келген терминалда өтініш нөмірі мен ЖСН арқылы басып шығарасыз",
            "Чек остаётся за нами: его напечатает любой терминал по номеру обращения и ИИН",
            "We owe you the receipt: any terminal prints it for the claim number and IIN";
        PrintAgain: "Қайта басып көру", "Напечатать ещё раз", "Try to print again";
        Printing: "Басылуда…", "Печатаем…", "Printing…";

        // A payment was interrupted here
        InterruptedTitle:
            "Төлеміңіз осы жерде үзілді ме?",
            "Ваш платёж прервался здесь?",
            "Was your payment interrupted here?";
        InterruptedLead:
            "Төлем кезінде енгізілген ЖСН-ді теріңіз. Терминал төлемді табады.",
            "Введите ИИН, указанный при оплате. Терминал найдёт платёж.",
            "Enter the IIN used for the payment. The terminal will find it.";
        InterruptedNone:
            "Бұл терминалда осы ЖСН бойынша үзілген төлем жоқ. Ақшаңыз қалып қойса, хабарласыңыз: {phone}.",
            "На этом терминале нет прерванных платежей с этим ИИН. Если деньги остались внутри, позвоните: {phone}.",
            "This terminal has no interrupted payment for this IIN. If your money stayed inside, call {phone}.";

        // Nobody answers
        StillHereTitle: "Сіз осындасыз ба?", "Вы ещё здесь?", "Are you still here?";
        StillHereText:
            "{seconds} секундтан кейін басты экранға ораламыз",
            "Через {seconds} с вернёмся на главный экран",
            "In {seconds} s we return to the first screen";
        StillHereMoney:
            "{seconds} секундтан кейін төлем жабылып, салынған {sum} сақталады",
            "Через {seconds} с платёж закроется, внесённые {sum} будут сохранены",
            "In {seconds} s the payment closes and the {sum} inserted is kept safe";
        StillHereYes: "Иә, жалғастырамын", "Да, продолжить", "Yes, go on";
    } };
}
