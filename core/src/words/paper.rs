//! Phrases that stand on paper only. Labels are short: two of them share a line.

macro_rules! paper_words {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)*
        PaperReceipt: "ТӨЛЕМ ТҮБІРТЕГІ", "ЧЕК ОБ ОПЛАТЕ", "PAYMENT RECEIPT";
        PaperClaim: "ӨТІНІШ ТҮБІРТЕГІ", "ТАЛОН ОБРАЩЕНИЯ", "CLAIM SLIP";
        PaperVoucher: "ҚАЛДЫҚ ВАУЧЕРІ", "ВАУЧЕР НА ОСТАТОК", "REMAINDER VOUCHER";
        PaperHeld: "САҚТАЛҒАН АҚША ВАУЧЕРІ", "ВАУЧЕР НА СОХРАНЁННЫЕ ДЕНЬГИ", "VOUCHER FOR MONEY KEPT";
        PaperEmergency: "АПАТТЫҚ ТҮБІРТЕК", "АВАРИЙНЫЙ ТАЛОН", "EMERGENCY SLIP";
        PaperCopy: "КӨШІРМЕ", "КОПИЯ", "COPY";
        PaperAccepted: "Төлем қабылданды", "Оплата принята", "Payment accepted";
        PaperCode: "Төлемнің бірегей коды", "Уникальный код платежа", "Unique payment code";
        PaperService: "Қызмет", "Услуга", "Service";
        PaperFee: "Сома", "Сумма", "Amount";
        PaperCommission: "Комиссия", "Комиссия", "Commission";
        PaperRounding: "Дөңгелектеу", "Округление", "Rounding";
        PaperTotal: "Барлығы", "Итого", "Total";
        PaperInserted: "Салынды", "Внесено", "Inserted";
        PaperFromVoucher: "Ваучерден", "С ваучера", "From voucher";
        PaperRemainder: "Қалдық", "Остаток", "Remainder";
        PaperMethod: "Төлем тәсілі", "Способ", "Method";
        PaperCash: "қолма-қол", "наличные", "cash";
        PaperCard: "карта", "карта", "card";
        PaperCardNumber: "Карта", "Карта", "Card";
        PaperApproval: "Авторлау коды", "Код авторизации", "Approval code";
        PaperPin: "ПИН-код", "ПИН-код", "PIN";
        PaperPinYes: "енгізілді", "введён", "entered";
        PaperPayer: "Төлеуші", "Плательщик", "Payer";
        PaperIin: "ЖСН", "ИИН", "IIN";
        PaperPaidAt: "Төлем күні", "Дата", "Paid on";
        PaperPrintedAt: "Басылды", "Печать", "Printed";
        PaperValidUntil: "Жарамды мерзімі", "Действует до", "Valid until";
        PaperTransaction: "Транзакция №", "Транзакция №", "Transaction No.";
        PaperPayee: "Алушы", "Получатель", "Payee";
        PaperBin: "БСН", "БИН", "BIN";
        PaperKbk: "БСК", "КБК", "KBK";
        PaperKnp: "ТТК", "КНП", "KNP";
        PaperTerminal: "Терминал №", "Терминал №", "Terminal No.";
        PaperOperator: "Оператор", "Оператор", "Operator";
        PaperAddress: "Мекенжай", "Адрес", "Address";
        PaperPhone: "Анықтама", "Справка", "Help";
        PaperJournal: "Журнал", "Журнал", "Journal";
        PaperUse:
            "Кодты {site} порталында енгізіңіз немесе ХҚО-да көрсетіңіз. Код бір рет жарамды.",
            "Введите код на портале {site} или покажите в ЦОНе. Код действует один раз.",
            "Enter the code at {site} or show it at a public service center. It works once.";
        PaperQrReceipt:
            "QR-кодты орталық қолтаңбалаған: ол төлемді растайды",
            "QR-код подписан центром и подтверждает оплату",
            "The QR code is signed by the center and proves the payment";
        PaperClaimNumber: "Өтініш нөмірі", "Номер обращения", "Claim number";
        PaperClaimWhat:
            "Ақшаңыз қабылданды және сақталды. Орталық әлі жауап берген жоқ: код немесе ваучер кейін беріледі.",
            "Ваши деньги приняты и сохранены. Центр пока не ответил: код или ваучер вы получите позже.",
            "Your money was accepted and is safe. The center has not answered yet: the code or a voucher follows.";
        PaperEmergencyWhat:
            "Терминалдың жады істен шықты. Ақшаңыз осы қағазда жазылған: оны сақтап, хабарласыңыз.",
            "Память терминала отказала. Ваши деньги записаны на этой бумаге: сохраните её и позвоните нам.",
            "The terminal’s memory failed. Your money is recorded on this paper: keep it and call us.";
        PaperClaimHow:
            "Оны алу үшін кез келген терминалда осы нөмір мен ЖСН-ді енгізіңіз.",
            "Для этого введите этот номер и ИИН на любом терминале.",
            "To get it, enter this number and your IIN at any terminal.";
        PaperFoundHow:
            "Купюра төлем ашылмай тұрып қабылданды. Ақшаны алу үшін операторға хабарласып, осы нөмірді айтыңыз.",
            "Купюра принята, когда платёж не был открыт. Чтобы получить деньги, позвоните оператору и назовите этот номер.",
            "The note was taken while no payment was open. To get the money, call the operator and name this number.";
        PaperQrClaim:
            "QR-кодта төлеміңіздің қолтаңбаланған толық жазбасы бар. Оны бүктемеңіз.",
            "QR-код содержит полную подписанную запись вашего платежа. Не сгибайте его.",
            "The QR code holds the full signed record of your payment. Do not fold it.";
        PaperVoucherHow:
            "Кез келген терминалда сол ЖСН-мен келесі төлемге пайдаланыңыз. Ақшаны қайтару: {phone}.",
            "Используйте для следующего платежа на любом терминале с тем же ИИН. Возврат денег: {phone}.",
            "Use it for your next payment at any terminal with the same IIN. Refunds: {phone}.";
        PaperRefund:
            "Ақшаны қайтару — өтініш бойынша: {phone}.",
            "Возврат денег — по заявлению: {phone}.",
            "Refunds on request: {phone}.";
        PaperKeep: "Қағазды сақтаңыз", "Сохраните эту бумагу", "Keep this paper";
        PaperCopyNote:
            "Түпнұсқасы бұрын берілген",
            "Оригинал был выдан ранее",
            "The original was issued before";
    } };
}
