//! Phrases from the quote to the code.

macro_rules! paying_words {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)*
        // Quote
        QuoteTitle: "Төлемді тексеріңіз", "Проверьте платёж", "Check your payment";
        QuoteConfirmed:
            "Мәліметтер орталық растағандай көрсетілген",
            "Данные показаны так, как их подтвердил центр",
            "The facts are shown as confirmed by the center";
        Payer: "Төлеуші", "Плательщик", "Payer";
        PayerIin: "ЖСН", "ИИН", "IIN";
        Service: "Қызмет", "Услуга", "Service";
        Fee: "Сома", "Сумма", "Amount";
        Commission: "Комиссия", "Комиссия", "Commission";
        CommissionNone: "0\u{202f}₸, алынбайды", "0\u{202f}₸, не взимается", "0\u{202f}₸, none";
        Total: "Барлығы", "Итого", "Total";
        Rounding: "Теңгеге дейін дөңгелектеу", "Округление до тенге", "Rounding to whole tenge";
        RoundingWhy:
            "Қолма-қол төлегенде тиындар теңгеге дейін дөңгелектеледі",
            "При оплате наличными тиыны округляются до тенге",
            "In cash, tiyn are rounded to whole tenge";
        FromVoucher: "Ваучерден", "С ваучера", "From the voucher";
        QuoteExpired:
            "Соманың мерзімі өтті. Қайта сұрап көріңіз, ақша салынған жоқ.",
            "Срок действия суммы истёк. Запросите ещё раз, деньги не внесены.",
            "The sum has expired. Ask again, no money was inserted.";
        PayCash: "Қолма-қол төлеу", "Оплатить наличными", "Pay in cash";
        Cash: "Қолма-қол ақша", "Наличные", "Cash";
        Card: "Төлем картасы", "Банковская карта", "Bank card";
        AddVoucher: "Ваучерді пайдалану", "Использовать ваучер", "Use a voucher";

        // Honest screen before the first note
        HonestTitle: "Ақша салмас бұрын", "Прежде чем вносить деньги", "Before you insert money";
        HonestReceiptYes: "Түбіртек басылады", "Чек будет напечатан", "A receipt will be printed";
        HonestReceiptNo:
            "Түбіртек басылмайды. Код экранда көрсетіледі, түбіртекті кейін кез келген терминалда ала аласыз.",
            "Чек не напечатается. Код будет на экране, а чек вы получите позже на любом терминале.",
            "No receipt can be printed. The code is shown on the screen, and any terminal prints the receipt later.";
        HonestPaperLow:
            "Қағаз таусылуға жақын, бірақ сізге жетеді",
            "Бумага заканчивается, но вам хватит",
            "Paper is running low, but there is enough for you";
        HonestLinkYes: "Код бірден беріледі", "Код выдаётся сразу", "The code is given at once";
        HonestLinkNo:
            "Орталықпен байланыс жоқ, сондықтан ақша қабылданбайды",
            "Нет связи с центром, поэтому деньги не принимаются",
            "There is no link to the center, so money is not accepted";
        HonestNoChange:
            "Терминал қайтарым бермейді. Артық салынған ақша ваучер түрінде сізде қалады.",
            "Терминал не даёт сдачи. Излишек останется вашим в виде ваучера.",
            "This terminal gives no change. The remainder stays yours as a voucher.";
        HonestLinkBreaks:
            "Байланыс үзілсе, өтініш түбіртегін аласыз. Ақшаңыз сақталады, код кейін беріледі.",
            "Если связь прервётся, вы получите талон обращения. Деньги сохранятся, код придёт позже.",
            "If the link breaks, you get a claim slip. Your money is safe and the code follows.";
        HonestAgree: "Түсінікті, ақша салу", "Понятно, внести деньги", "I understand, insert money";
        HonestAgreeNoPaper:
            "Түбіртексіз жалғастыру",
            "Продолжить без чека",
            "Go on without a receipt";

        // Inserting
        InsertTitle: "Купюраларды салыңыз", "Внесите купюры", "Insert banknotes";
        InsertLead:
            "Бір-бірден, түзу қалпында салыңыз",
            "По одной, в расправленном виде",
            "One at a time, flat";
        InsertNext: "Келесі купюраны салыңыз", "Внесите следующую купюру", "Insert the next note";
        ToPay: "Төлеуге", "К оплате", "To pay";
        Inserted: "Салынды", "Внесено", "Inserted";
        Remaining: "Қалды", "Осталось", "Remaining";
        NotesTakenNow: "Қазір қабылданатын купюралар", "Сейчас принимаются", "Notes accepted now";
        NoteReading: "Купюра тексерілуде…", "Проверяем купюру…", "Checking the note…";
        NoteAccepted: "Қабылданды: {sum}", "Принято: {sum}", "Accepted: {sum}";
        NoteUnread:
            "Купюра қайтарылды: оқылмады. Түзетіп, екінші жағымен салып көріңіз немесе басқасын салыңыз.",
            "Купюра возвращена: не прочиталась. Расправьте и вставьте другой стороной или возьмите другую.",
            "Note returned: it could not be read. Flatten it, try the other side, or use another note.";
        NoteInhibited:
            "Купюра қайтарылды: бұл номинал қазір қабылданбайды. Төменде көрсетілгендерін салыңыз.",
            "Купюра возвращена: этот номинал сейчас не принимается. Внесите те, что показаны ниже.",
            "Note returned: this denomination is not accepted now. Use the notes shown below.";
        NoteTooFast:
            "Купюра қайтарылды: тым ерте салынды. Алдыңғысы қабылданғанша күтіп, қайта салыңыз.",
            "Купюра возвращена: вставлена слишком рано. Дождитесь предыдущей и вставьте снова.",
            "Note returned: it came too early. Wait for the previous note, then insert it again.";
        NoteRefused:
            "Купюра қайтарылды: қабылданбады. Басқа купюра салыңыз.",
            "Купюра возвращена: не принята. Внесите другую купюру.",
            "Note returned: it was not accepted. Please use another note.";
        NoteReturnedByUs:
            "Купюра қайтарылды. Оны алып, қайта салыңыз.",
            "Купюра возвращена. Заберите её и вставьте снова.",
            "The note was returned. Take it and insert it again.";
        NoteInDoubt:
            "{sum} купюраның қайда екенін терминал анықтай алмады. Ол жазылып алынды, орталық тексереді.",
            "Терминал не смог определить, где купюра {sum}. Это записано, центр проверит.",
            "The terminal could not tell where the {sum} note is. This is recorded and the center will check.";
        LargerNote:
            "Қалған {remaining} сомасына сай ұсақ купюра қабылданбайды",
            "Для остатка {remaining} более мелкие купюры не принимаются",
            "No smaller note is accepted for the remaining {remaining}";
        LargerNoteText:
            "{note} салсаңыз, артылған {sum} ваучер түрінде сізде қалады. Оны келесі төлемге пайдалана аласыз.",
            "Если внести {note}, излишек {sum} останется вашим в виде ваучера для следующего платежа.",
            "If you insert {note}, the remainder of {sum} stays yours as a voucher for your next payment.";
        LargerNoteAgree:
            "Келісемін, {sum} ваучерге",
            "Согласен, {sum} на ваучер",
            "I agree, {sum} as a voucher";
        Stop: "Тоқтатып, ақшамды сақтау", "Остановить и сохранить деньги", "Stop and keep my money safe";
        StopTitle: "Төлемді тоқтатасыз ба?", "Остановить платёж?", "Stop the payment?";
        StopText:
            "Салынған {sum} қайтарылмайды, бірақ жоғалмайды: оған ваучер аласыз. Ваучермен кез келген терминалда төлеуге немесе {phone} арқылы ақшаны қайтаруға болады.",
            "Внесённые {sum} не выдаются обратно, но и не пропадут: вы получите ваучер. Им можно оплатить на любом терминале или вернуть деньги по телефону {phone}.",
            "The {sum} inserted cannot come back out, but it is not lost: you get a voucher. Use it at any terminal or ask for a refund at {phone}.";
        StopYes: "Тоқтату", "Остановить", "Stop";
        StopNo: "Төлемді жалғастыру", "Продолжить оплату", "Go on paying";
        LinkLostWithMoney:
            "Байланыс үзілді. Ақшаңыз жазылып алынды және жоғалмайды.",
            "Связь прервалась. Ваши деньги записаны и не пропадут.",
            "The link is down. Your money is recorded and will not be lost.";
        AcceptorFailedWithMoney:
            "Купюра қабылдағыш жұмысын тоқтатты. Салынған ақшаңыз жазылып алынды.",
            "Купюроприёмник остановился. Внесённые деньги записаны.",
            "The note acceptor has stopped. The money you inserted is recorded.";
        JamWithMoney:
            "Купюра кептеліп қалды. Оны тартпаңыз: терминал өзі шешуге тырысуда.",
            "Купюра застряла. Не тяните её: терминал пробует освободить сам.",
            "A note is stuck. Do not pull it: the terminal is trying to free it.";

        // Confirm
        ConfirmTitle: "Төлемді растаңыз", "Подтвердите оплату", "Confirm your payment";
        ConfirmLead:
            "Сома толық салынды. Растағаннан кейін төлемді кері қайтаруға болмайды.",
            "Сумма внесена полностью. После подтверждения отменить платёж нельзя.",
            "The full sum is in. After you confirm, the payment cannot be undone.";
        Confirm: "Төлемді растау", "Подтвердить оплату", "Confirm payment";
        RemainderAsVoucher: "Қалдық, ваучермен", "Остаток, ваучером", "Remainder, as a voucher";

        // Working
        WorkingTitle: "Төлем өтіп жатыр", "Платёж выполняется", "Your payment is being made";
        WorkingLead:
            "Терминалдан кетпеңіз",
            "Не отходите от терминала",
            "Please stay at the terminal";
        StageAccepted: "Ақша қабылданды", "Деньги приняты", "Money accepted";
        StageCode: "Код сұратылды", "Код запрошен", "Code requested";
        StagePrinting: "Түбіртек басылуда", "Печатается чек", "Printing the receipt";
        StageHolding: "Ақшаңыз сақталуда", "Сохраняем ваши деньги", "Keeping your money safe";
        StagePrintingSlip: "Қағаз басылуда", "Печатается бумага", "Printing your paper";
        WaitingLong:
            "Орталық әлі жауап берген жоқ. {seconds} секундтан кейін жауап болмаса, терминал өтініш түбіртегін береді. Ақшаңыз сақталды.",
            "Центр пока не ответил. Если через {seconds} секунд ответа не будет, вы получите талон обращения. Ваши деньги сохранены.",
            "The center has not answered yet. If there is no answer in {seconds} seconds, you get a claim slip. Your money is safe.";

        // Code
        CodeTitle: "Төлем қабылданды", "Оплата принята", "Payment accepted";
        Code: "Төлемнің бірегей коды", "Уникальный код платежа", "Unique payment code";
        TakeReceipt: "Түбіртекті алыңыз", "Возьмите чек", "Take your receipt";
        TakeReceiptAndVoucher:
            "Түбіртек пен қалдық ваучерін алыңыз",
            "Возьмите чек и ваучер на остаток",
            "Take your receipt and your remainder voucher";
        WhereToUse: "Кодты қайда пайдалану керек", "Где использовать код", "Where to use the code";
        WhereToUseText:
            "{site} порталында немесе ХҚО-да",
            "На портале {site} или в ЦОНе",
            "On the portal {site} or at a public service center";
        ValidUntil: "Жарамды мерзімі", "Действует до", "Valid until";
        Paid: "Төленді", "Оплачено", "Paid";
        ReceiptIsCopy:
            "Түпнұсқасы бұрын басылған, бұл түбіртек — көшірме",
            "Оригинал уже напечатан, этот чек — копия",
            "The original was printed before, this receipt is a copy";
        AnotherPayment: "Тағы төлем жасау", "Ещё один платёж", "Another payment";
    } };
}
