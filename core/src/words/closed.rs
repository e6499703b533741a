//! Why the terminal does not take money: the true reason in plain words, one phrase per reason.

macro_rules! closed_words {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)*
        ClosedTitle:
            "Терминал уақытша жұмыс істемейді",
            "Терминал временно не работает",
            "Temporarily out of service";
        ClosedCashTitle:
            "Қолма-қол ақша уақытша қабылданбайды",
            "Наличные временно не принимаются",
            "Cash is not accepted for now";
        ClosedWakes:
            "Ақау жойылғанда терминал өзі іске қосылады",
            "Когда причина исчезнет, терминал включится сам",
            "The terminal comes back by itself when the cause is gone";
        ClosedMoneyInside:
            "Ақшаңыз ішінде қалса, ол жазылып алынған. Хабарласыңыз: {phone}.",
            "Если внутри остались ваши деньги, они записаны. Позвоните: {phone}.",
            "If your money is inside, it is recorded. Call {phone}.";
        ClosedNearest: "Жақын терминал: {address}", "Ближайший терминал: {address}", "Nearest terminal: {address}";
        ReasonStarting:
            "Терминал іске қосылып жатыр",
            "Терминал запускается",
            "The terminal is starting up";
        ReasonStopping:
            "Терминал өшіріліп жатыр",
            "Терминал выключается",
            "The terminal is being switched off";
        StoppingWithMoney:
            "Терминал өшіріліп жатыр. Ақшаңыз сақталады: қағазды алыңыз немесе экрандағы нөмірді жазып алыңыз.",
            "Терминал выключается. Ваши деньги сохраняются: возьмите бумагу или запишите номер с экрана.",
            "This terminal is being switched off. Your money is kept: take the paper, or write down the number on the screen.";
        ReasonNoLink:
            "Төлем орталығымен байланыс жоқ",
            "Нет связи с платёжным центром",
            "There is no link to the payment center";
        ReasonCertificate:
            "Орталық терминалдың қауіпсіздік куәлігін қабылдамады",
            "Центр не принял сертификат безопасности терминала",
            "The center did not accept the terminal’s security certificate";
        ReasonBlocked:
            "Орталық терминалды тексеру үшін тоқтатты",
            "Центр остановил терминал для проверки",
            "The center has stopped this terminal for a check";
        ReasonPrinterAbsent:
            "Принтер жауап бермейді, түбіртек бере алмаймыз",
            "Принтер не отвечает, мы не можем выдать чек",
            "The printer does not answer, we cannot give receipts";
        ReasonPaperOut:
            "Түбіртек қағазы таусылды",
            "Закончилась бумага для чеков",
            "The receipt paper has run out";
        ReasonCoverOpen:
            "Принтердің қақпағы ашық",
            "Открыта крышка принтера",
            "The printer’s cover is open";
        ReasonCutter:
            "Принтердің қағаз кескіші тұрып қалды",
            "Заклинило нож принтера",
            "The printer’s paper cutter is stuck";
        ReasonPrinterFailure:
            "Принтер істен шықты",
            "Принтер неисправен",
            "The printer has failed";
        ReasonAcceptorAbsent:
            "Купюра қабылдағыш жауап бермейді",
            "Купюроприёмник не отвечает",
            "The note acceptor does not answer";
        ReasonAcceptorFailure:
            "Купюра қабылдағыш істен шықты",
            "Купюроприёмник неисправен",
            "The note acceptor has failed";
        ReasonCassetteFull:
            "Купюра қорабы толды",
            "Кассета для купюр заполнена",
            "The note cassette is full";
        ReasonCassetteOut:
            "Купюра қорабы орнында жоқ",
            "Кассета для купюр снята",
            "The note cassette is not in place";
        ReasonJam:
            "Купюра кептеліп қалды",
            "Застряла купюра",
            "A note is stuck";
        ReasonCheat:
            "Купюраны кері тартып алу әрекеті байқалды, терминал тексерілуде",
            "Замечена попытка вытянуть купюру обратно, терминал проверяется",
            "An attempt to pull a note back was noticed, the terminal is being checked";
        ReasonJournalDamaged:
            "Төлем журналы зақымдалған, оны мамандар тексеруде",
            "Повреждён журнал платежей, его проверяют специалисты",
            "The payment journal is damaged, specialists are checking it";
        ReasonJournalChecking:
            "Төлем журналы тексерілуде, бұл бірнеше минут алуы мүмкін",
            "Проверяется журнал платежей, это может занять несколько минут",
            "The payment journal is being checked, this may take a few minutes";
        ReasonDisk:
            "Терминалдың жады толған немесе жазылмайды",
            "Память терминала заполнена или недоступна для записи",
            "The terminal’s storage is full or cannot be written";
        ReasonUnsettled:
            "Орталыққа жіберілмеген төлемдер тым көп, алдымен олар жеткізілуі керек",
            "Слишком много неотправленных платежей, сначала они должны дойти до центра",
            "Too many payments wait to be sent, they must reach the center first";
        ReasonDoorOpen:
            "Терминалдың есігі ашық",
            "Открыта дверца терминала",
            "The terminal’s door is open";
        ReasonNotes:
            "Купюра қабылдағыш теңгені танымайды",
            "Купюроприёмник не распознаёт тенге",
            "The note acceptor does not know tenge";
    } };
}
