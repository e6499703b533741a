use super::*;
use expect_test::{Expect, expect};

#[path = "sample.rs"]
mod sample;
use sample::{Sample, sample};

fn check(sheet: &Sheet, expected: Expect) {
    let mut text = sheet.text();
    for line in &mut text {
        // The content of a symbol is tested by reading it back from the dots.
        if let Some(end) = line.starts_with("[QR ").then(|| line.char_indices().nth(13)).flatten() {
            line.replace_range(end.0.., "…]");
        }
    }
    expected.assert_eq(&(text.join("\n") + "\n"));
}

fn all_sheets(sample: &Sample) -> Vec<Sheet> {
    let claim = sample.quote.payment.claim_number();
    let mut sheets = Vec::new();
    for second in Language::ALL {
        for width in [DEFAULT_WIDTH, 384] {
            for copy in [false, true] {
                let facts = PaperFacts { width, copy, ..sample.facts(second) };
                sheets.push(receipt(&facts, &sample.code, &sample.code_qr(), None));
                sheets.push(receipt(&facts, &sample.code, &sample.code_qr(), Some(&sample.remainder)));
                sheets.push(claim_slip(&facts, claim, &sample.deposit_qr(), copy));
                sheets.push(voucher(&facts, &sample.remainder, &sample.balance_qr()));
            }
        }
    }
    sheets
}

/// Texts of all QR symbols on the page, from the dots.
fn symbols(page: &crate::printer::Page) -> Vec<String> {
    let bytes = usize::from(page.width / 8);
    let dark = |x: usize, y: usize| page.rows[y * bytes + x / 8] & (0x80 >> (x % 8)) != 0;
    let mut image = rqrr::PreparedImage::prepare_from_bitmap(usize::from(page.width), page.height(), dark);
    image.detect_grids().iter().map(|grid| grid.decode().unwrap().1).collect()
}

#[test]
fn receipt_in_kazakh_and_russian() {
    let sample = sample();
    let facts = sample.facts(Language::Russian);
    check(
        &receipt(&facts, &sample.code, &sample.code_qr(), Some(&sample.remainder)),
        expect![[r#"
            == ТӨЛЕМ ТҮБІРТЕГІ / ЧЕК ОБ ОПЛАТЕ ==
            Төлем қабылданды / Оплата принята
            ----
            Төлемнің бірегей коды / Уникальный код платежа
            [ 0123 4567 8901 2345 ]
            [QR TOLEM:C1:…]
            Кодты egov.kz порталында енгізіңіз немесе ХҚО-да көрсетіңіз. Код бір рет жарамды.
            Введите код на портале egov.kz или покажите в ЦОНе. Код действует один раз.
            QR-кодты орталық қолтаңбалаған: ол төлемді растайды
            QR-код подписан центром и подтверждает оплату
            Жарамды мерзімі / Действует до: 22.11.2027 14:05
            ----
            Қызмет / Услуга:
              Жүргізуші куәлігін бергені үшін мемлекеттік баж
              Государственная пошлина за выдачу водительского удостоверения
            Сома / Сумма: 5 406,25 ₸
            Комиссия: 0 ₸
            Дөңгелектеу / Округление: –0,25 ₸
            Барлығы / Итого: *5 406 ₸*
            Салынды / Внесено: 6 000 ₸
            Қалдық / Остаток: 594 ₸
            ----
            Төлеуші / Плательщик: А••• Б•••
            ЖСН / ИИН: •••• •••• 0019
            Төлем күні / Дата: 22.11.2026 14:06:14
            Төлем тәсілі / Способ: қолма-қол / наличные
            Алушы / Получатель:
              Көліктік бақылау басқармасы (үлгі)
              Управление транспортного контроля (образец)
            БСН / БИН: 991240000013
            БСК / КБК: 108125
            ТТК / КНП: 911
            Ақшаны қайтару — өтініш бойынша: 8 800 080 77 77.
            Возврат денег — по заявлению: 8 800 080 77 77.
            ----
            Транзакция №: 00042-7-1234-a5a5a5a5
            Терминал №: 00042
            Мекенжай / Адрес: Астана, Мәңгілік Ел даңғылы, 8
            Оператор: «Төлем Үлгі» ЖШС
            Анықтама / Справка: 8 800 080 77 77
            Басылды / Печать: 22.11.2026 14:06:17
            Журнал: 5120 · 1f2e3d4c5b6a7988
            Қағазды сақтаңыз / Сохраните эту бумагу
            - - - -
            == ҚАЛДЫҚ ВАУЧЕРІ / ВАУЧЕР НА ОСТАТОК ==
            Ваучер нөмірі / Номер ваучера
            [ 2030 4050 6072 ]
            Сома / Сумма: *594 ₸*
            [QR TOLEM:V1:…]
            Кез келген терминалда сол ЖСН-мен келесі төлемге пайдаланыңыз. Ақшаны қайтару: 8 800 080 77 77.
            Используйте для следующего платежа на любом терминале с тем же ИИН. Возврат денег: 8 800 080 77 77.
            Терминал №: 00042
            Транзакция №: 00042-7-1234-a5a5a5a5
        "#]],
    );
}

#[test]
fn receipt_in_kazakh_alone() {
    let sample = sample();
    let facts = sample.facts(Language::Kazakh);
    check(
        &receipt(&facts, &sample.code, &sample.code_qr(), None),
        expect![[r#"
            == ТӨЛЕМ ТҮБІРТЕГІ ==
            Төлем қабылданды
            ----
            Төлемнің бірегей коды
            [ 0123 4567 8901 2345 ]
            [QR TOLEM:C1:…]
            Кодты egov.kz порталында енгізіңіз немесе ХҚО-да көрсетіңіз. Код бір рет жарамды.
            QR-кодты орталық қолтаңбалаған: ол төлемді растайды
            Жарамды мерзімі: 22.11.2027 14:05
            ----
            Қызмет:
              Жүргізуші куәлігін бергені үшін мемлекеттік баж
            Сома: 5 406,25 ₸
            Комиссия: 0 ₸
            Дөңгелектеу: –0,25 ₸
            Барлығы: *5 406 ₸*
            Салынды: 6 000 ₸
            ----
            Төлеуші: А••• Б•••
            ЖСН: •••• •••• 0019
            Төлем күні: 22.11.2026 14:06:14
            Төлем тәсілі: қолма-қол
            Алушы:
              Көліктік бақылау басқармасы (үлгі)
            БСН: 991240000013
            БСК: 108125
            ТТК: 911
            Ақшаны қайтару — өтініш бойынша: 8 800 080 77 77.
            ----
            Транзакция №: 00042-7-1234-a5a5a5a5
            Терминал №: 00042
            Мекенжай: Астана, Мәңгілік Ел даңғылы, 8
            Оператор: «Төлем Үлгі» ЖШС
            Анықтама: 8 800 080 77 77
            Басылды: 22.11.2026 14:06:17
            Журнал: 5120 · 1f2e3d4c5b6a7988
            Қағазды сақтаңыз
        "#]],
    );
}

#[test]
fn copy_of_a_receipt_in_kazakh_and_english() {
    let sample = sample();
    let facts = PaperFacts { copy: true, ..sample.facts(Language::English) };
    check(
        &receipt(&facts, &sample.code, &sample.code_qr(), None),
        expect![[r#"
            ### КӨШІРМЕ / COPY ###
            Түпнұсқасы бұрын берілген / The original was issued before
            == ТӨЛЕМ ТҮБІРТЕГІ / PAYMENT RECEIPT ==
            Төлем қабылданды / Payment accepted
            ----
            Төлемнің бірегей коды / Unique payment code
            [ 0123 4567 8901 2345 ]
            [QR TOLEM:C1:…]
            Кодты egov.kz порталында енгізіңіз немесе ХҚО-да көрсетіңіз. Код бір рет жарамды.
            Enter the code at egov.kz or show it at a public service center. It works once.
            QR-кодты орталық қолтаңбалаған: ол төлемді растайды
            The QR code is signed by the center and proves the payment
            Жарамды мерзімі / Valid until: 22.11.2027 14:05
            ----
            Қызмет / Service:
              Жүргізуші куәлігін бергені үшін мемлекеттік баж
              State duty for issuing a driving licence
            Сома / Amount: 5 406,25 ₸
            Комиссия / Commission: 0 ₸
            Дөңгелектеу / Rounding: –0,25 ₸
            Барлығы / Total: *5 406 ₸*
            Салынды / Inserted: 6 000 ₸
            ----
            Төлеуші / Payer: А••• Б•••
            ЖСН / IIN: •••• •••• 0019
            Төлем күні / Paid on: 22.11.2026 14:06:14
            Төлем тәсілі / Method: қолма-қол / cash
            Алушы / Payee:
              Көліктік бақылау басқармасы (үлгі)
              Transport control department (sample)
            БСН / BIN: 991240000013
            БСК / KBK: 108125
            ТТК / KNP: 911
            Ақшаны қайтару — өтініш бойынша: 8 800 080 77 77.
            Refunds on request: 8 800 080 77 77.
            ----
            Транзакция № / Transaction No.: 00042-7-1234-a5a5a5a5
            Терминал № / Terminal No.: 00042
            Мекенжай / Address: Астана, Мәңгілік Ел даңғылы, 8
            Оператор / Operator: «Төлем Үлгі» ЖШС
            Анықтама / Help: 8 800 080 77 77
            Басылды / Printed: 22.11.2026 14:06:17
            Журнал / Journal: 5120 · 1f2e3d4c5b6a7988
            Қағазды сақтаңыз / Keep this paper
        "#]],
    );
}

#[test]
fn receipt_of_a_card_in_kazakh_and_english() {
    use crate::session::CardStanding;
    use tolem_protocol::card::{CardMark, ChipEvidence};
    let mut sample = sample();
    sample.quote.method = Method::Either;
    let evidence = ChipEvidence {
        tvr: [0x80, 0x00, 0x04, 0x80, 0x00],
        tsi: [0xE8, 0x00],
        cryptogram: heapless::Vec::new(),
    };
    let card = Card {
        mark: CardMark {
            last_four: [0, 0, 1, 1],
            application: heapless::Vec::from_slice(&[0xA0, 0, 0, 0, 0x04, 0x10, 0x10]).unwrap(),
            label: "MASTERCARD".try_into().unwrap(),
            amount: sample.quote.fee,
            pin: true,
        },
        standing: CardStanding::Authorized,
        approval: Some(*b"A1B2C3"),
        evidence: Some(evidence),
    };
    let facts = PaperFacts { card: Some(&card), inserted: Amount::ZERO, ..sample.facts(Language::English) };
    check(
        &receipt(&facts, &sample.code, &sample.code_qr(), None),
        expect![[r#"
            == ТӨЛЕМ ТҮБІРТЕГІ / PAYMENT RECEIPT ==
            Төлем қабылданды / Payment accepted
            ----
            Төлемнің бірегей коды / Unique payment code
            [ 0123 4567 8901 2345 ]
            [QR TOLEM:C1:…]
            Кодты egov.kz порталында енгізіңіз немесе ХҚО-да көрсетіңіз. Код бір рет жарамды.
            Enter the code at egov.kz or show it at a public service center. It works once.
            QR-кодты орталық қолтаңбалаған: ол төлемді растайды
            The QR code is signed by the center and proves the payment
            Жарамды мерзімі / Valid until: 22.11.2027 14:05
            ----
            Қызмет / Service:
              Жүргізуші куәлігін бергені үшін мемлекеттік баж
              State duty for issuing a driving licence
            Сома / Amount: 5 406,25 ₸
            Комиссия / Commission: 0 ₸
            Барлығы / Total: *5 406,25 ₸*
            ----
            Төлеуші / Payer: А••• Б•••
            ЖСН / IIN: •••• •••• 0019
            Төлем күні / Paid on: 22.11.2026 14:06:14
            Төлем тәсілі / Method: карта / card
            Карта / Card: MASTERCARD •••• 0011
            Авторлау коды / Approval code: A1B2C3
            ПИН-код / PIN: енгізілді / entered
            AID: A0000000041010
            TVR / TSI: 8000048000 / E800
            Алушы / Payee:
              Көліктік бақылау басқармасы (үлгі)
              Transport control department (sample)
            БСН / BIN: 991240000013
            БСК / KBK: 108125
            ТТК / KNP: 911
            Ақшаны қайтару — өтініш бойынша: 8 800 080 77 77.
            Refunds on request: 8 800 080 77 77.
            ----
            Транзакция № / Transaction No.: 00042-7-1234-a5a5a5a5
            Терминал № / Terminal No.: 00042
            Мекенжай / Address: Астана, Мәңгілік Ел даңғылы, 8
            Оператор / Operator: «Төлем Үлгі» ЖШС
            Анықтама / Help: 8 800 080 77 77
            Басылды / Printed: 22.11.2026 14:06:17
            Журнал / Journal: 5120 · 1f2e3d4c5b6a7988
            Қағазды сақтаңыз / Keep this paper
        "#]],
    );
}

#[test]
fn claim_slip_in_kazakh_and_russian() {
    let sample = sample();
    let facts = sample.facts(Language::Russian);
    let claim = sample.quote.payment.claim_number();
    check(
        &claim_slip(&facts, claim, &sample.deposit_qr(), false),
        expect![[r#"
            == ӨТІНІШ ТҮБІРТЕГІ / ТАЛОН ОБРАЩЕНИЯ ==
            Ақшаңыз сақталды / Ваши деньги сохранены
            ----
            Өтініш нөмірі / Номер обращения
            [ 00042 0001 2343 ]
            Салынды / Внесено: *6 000 ₸*
            [QR TOLEM:D1:…]
            Ақшаңыз қабылданды және сақталды. Орталық әлі жауап берген жоқ: код немесе ваучер кейін беріледі.
            Ваши деньги приняты и сохранены. Центр пока не ответил: код или ваучер вы получите позже.
            Оны алу үшін кез келген терминалда осы нөмір мен ЖСН-ді енгізіңіз.
            Для этого введите этот номер и ИИН на любом терминале.
            QR-кодта төлеміңіздің қолтаңбаланған толық жазбасы бар. Оны бүктемеңіз.
            QR-код содержит полную подписанную запись вашего платежа. Не сгибайте его.
            ----
            Қызмет / Услуга:
              Жүргізуші куәлігін бергені үшін мемлекеттік баж
              Государственная пошлина за выдачу водительского удостоверения
            Сома / Сумма: 5 406,25 ₸
            Комиссия: 0 ₸
            Дөңгелектеу / Округление: –0,25 ₸
            Барлығы / Итого: *5 406 ₸*
            ----
            Төлеуші / Плательщик: А••• Б•••
            ЖСН / ИИН: •••• •••• 0019
            Төлем тәсілі / Способ: қолма-қол / наличные
            Алушы / Получатель:
              Көліктік бақылау басқармасы (үлгі)
              Управление транспортного контроля (образец)
            БСН / БИН: 991240000013
            БСК / КБК: 108125
            ТТК / КНП: 911
            ----
            Транзакция №: 00042-7-1234-a5a5a5a5
            Терминал №: 00042
            Мекенжай / Адрес: Астана, Мәңгілік Ел даңғылы, 8
            Оператор: «Төлем Үлгі» ЖШС
            Анықтама / Справка: 8 800 080 77 77
            Басылды / Печать: 22.11.2026 14:06:17
            Журнал: 5120 · 1f2e3d4c5b6a7988
            Қағазды сақтаңыз / Сохраните эту бумагу
        "#]],
    );
}

#[test]
fn emergency_slip_without_a_quote_in_kazakh_and_english() {
    let sample = sample();
    let facts =
        PaperFacts { quote: None, service: None, iin: String::new(), ..sample.facts(Language::English) };
    let claim = sample.quote.payment.claim_number();
    check(
        &claim_slip(&facts, claim, &sample.deposit_qr(), true),
        expect![[r#"
            ### АПАТТЫҚ ТҮБІРТЕК / EMERGENCY SLIP ###
            == ӨТІНІШ ТҮБІРТЕГІ / CLAIM SLIP ==
            Ақшаңыз сақталды / Your money is safe
            ----
            Өтініш нөмірі / Claim number
            [ 00042 0001 2343 ]
            Салынды / Inserted: *6 000 ₸*
            [QR TOLEM:D1:…]
            Терминалдың жады істен шықты. Ақшаңыз осы қағазда жазылған: оны сақтап, хабарласыңыз.
            The terminal’s memory failed. Your money is recorded on this paper: keep it and call us.
            Оны алу үшін кез келген терминалда осы нөмір мен ЖСН-ді енгізіңіз.
            To get it, enter this number and your IIN at any terminal.
            QR-кодта төлеміңіздің қолтаңбаланған толық жазбасы бар. Оны бүктемеңіз.
            The QR code holds the full signed record of your payment. Do not fold it.
            ----
            Транзакция № / Transaction No.: 00042-7-1234-a5a5a5a5
            Терминал № / Terminal No.: 00042
            Мекенжай / Address: Астана, Мәңгілік Ел даңғылы, 8
            Оператор / Operator: «Төлем Үлгі» ЖШС
            Анықтама / Help: 8 800 080 77 77
            Басылды / Printed: 22.11.2026 14:06:17
            Журнал / Journal: 5120 · 1f2e3d4c5b6a7988
            Қағазды сақтаңыз / Keep this paper
        "#]],
    );
}

#[test]
fn claim_slip_in_kazakh_alone() {
    let sample = sample();
    let facts = sample.facts(Language::Kazakh);
    let claim = sample.quote.payment.claim_number();
    check(
        &claim_slip(&facts, claim, &sample.deposit_qr(), false),
        expect![[r#"
            == ӨТІНІШ ТҮБІРТЕГІ ==
            Ақшаңыз сақталды
            ----
            Өтініш нөмірі
            [ 00042 0001 2343 ]
            Салынды: *6 000 ₸*
            [QR TOLEM:D1:…]
            Ақшаңыз қабылданды және сақталды. Орталық әлі жауап берген жоқ: код немесе ваучер кейін беріледі.
            Оны алу үшін кез келген терминалда осы нөмір мен ЖСН-ді енгізіңіз.
            QR-кодта төлеміңіздің қолтаңбаланған толық жазбасы бар. Оны бүктемеңіз.
            ----
            Қызмет:
              Жүргізуші куәлігін бергені үшін мемлекеттік баж
            Сома: 5 406,25 ₸
            Комиссия: 0 ₸
            Дөңгелектеу: –0,25 ₸
            Барлығы: *5 406 ₸*
            ----
            Төлеуші: А••• Б•••
            ЖСН: •••• •••• 0019
            Төлем тәсілі: қолма-қол
            Алушы:
              Көліктік бақылау басқармасы (үлгі)
            БСН: 991240000013
            БСК: 108125
            ТТК: 911
            ----
            Транзакция №: 00042-7-1234-a5a5a5a5
            Терминал №: 00042
            Мекенжай: Астана, Мәңгілік Ел даңғылы, 8
            Оператор: «Төлем Үлгі» ЖШС
            Анықтама: 8 800 080 77 77
            Басылды: 22.11.2026 14:06:17
            Журнал: 5120 · 1f2e3d4c5b6a7988
            Қағазды сақтаңыз
        "#]],
    );
}

#[test]
fn voucher_in_kazakh_and_russian() {
    let sample = sample();
    let facts = sample.facts(Language::Russian);
    check(
        &voucher(&facts, &sample.remainder, &sample.balance_qr()),
        expect![[r#"
        == ҚАЛДЫҚ ВАУЧЕРІ / ВАУЧЕР НА ОСТАТОК ==
        Ақшаңыз сақталды / Ваши деньги сохранены
        ----
        Ваучер нөмірі / Номер ваучера
        [ 2030 4050 6072 ]
        Сома / Сумма: *594 ₸*
        [QR TOLEM:V1:…]
        Кез келген терминалда сол ЖСН-мен келесі төлемге пайдаланыңыз. Ақшаны қайтару: 8 800 080 77 77.
        Используйте для следующего платежа на любом терминале с тем же ИИН. Возврат денег: 8 800 080 77 77.
        Салынған ақша төлемнен артық болды. Қалдық орталықта сақтаулы.
        Внесено больше, чем нужно. Остаток хранится в центре.
        ----
        Қызмет / Услуга:
          Жүргізуші куәлігін бергені үшін мемлекеттік баж
          Государственная пошлина за выдачу водительского удостоверения
        Салынды / Внесено: 6 000 ₸
        Төлеуші / Плательщик: А••• Б•••
        ЖСН / ИИН: •••• •••• 0019
        ----
        Транзакция №: 00042-7-1234-a5a5a5a5
        Терминал №: 00042
        Мекенжай / Адрес: Астана, Мәңгілік Ел даңғылы, 8
        Оператор: «Төлем Үлгі» ЖШС
        Анықтама / Справка: 8 800 080 77 77
        Басылды / Печать: 22.11.2026 14:06:17
        Журнал: 5120 · 1f2e3d4c5b6a7988
        Қағазды сақтаңыз / Сохраните эту бумагу
    "#]],
    );
}

#[test]
fn voucher_for_stopped_payment_in_kazakh_and_english() {
    let sample = sample();
    let held = HeldBalance { reason: HoldReason::Stopped, ..sample.remainder };
    check(
        &voucher(&sample.facts(Language::English), &held, &sample.balance_qr()),
        expect![[r#"
        == САҚТАЛҒАН АҚША ВАУЧЕРІ / VOUCHER FOR MONEY KEPT ==
        Ақшаңыз сақталды / Your money is safe
        ----
        Ваучер нөмірі / Voucher number
        [ 2030 4050 6072 ]
        Сома / Amount: *594 ₸*
        [QR TOLEM:V1:…]
        Кез келген терминалда сол ЖСН-мен келесі төлемге пайдаланыңыз. Ақшаны қайтару: 8 800 080 77 77.
        Use it for your next payment at any terminal with the same IIN. Refunds: 8 800 080 77 77.
        Сіз төлемді тоқтаттыңыз. Салынған ақша орталықта сақтаулы.
        You stopped the payment. The money you inserted is kept at the center.
        ----
        Қызмет / Service:
          Жүргізуші куәлігін бергені үшін мемлекеттік баж
          State duty for issuing a driving licence
        Салынды / Inserted: 6 000 ₸
        Төлеуші / Payer: А••• Б•••
        ЖСН / IIN: •••• •••• 0019
        ----
        Транзакция № / Transaction No.: 00042-7-1234-a5a5a5a5
        Терминал № / Terminal No.: 00042
        Мекенжай / Address: Астана, Мәңгілік Ел даңғылы, 8
        Оператор / Operator: «Төлем Үлгі» ЖШС
        Анықтама / Help: 8 800 080 77 77
        Басылды / Printed: 22.11.2026 14:06:17
        Журнал / Journal: 5120 · 1f2e3d4c5b6a7988
        Қағазды сақтаңыз / Keep this paper
    "#]],
    );
}

#[test]
fn voucher_in_kazakh_alone_without_a_payment() {
    let sample = sample();
    let held = HeldBalance { reason: HoldReason::NoPayment, ..sample.remainder };
    let facts =
        PaperFacts { payment: None, quote: None, iin: String::new(), ..sample.facts(Language::Kazakh) };
    check(
        &voucher(&facts, &held, &sample.balance_qr()),
        expect![[r#"
        == САҚТАЛҒАН АҚША ВАУЧЕРІ ==
        Ақшаңыз сақталды
        ----
        Ваучер нөмірі
        [ 2030 4050 6072 ]
        Сома: *594 ₸*
        [QR TOLEM:V1:…]
        Купюра төлем ашылмай тұрып қабылданды. Ақшаны алу үшін операторға хабарласып, осы нөмірді айтыңыз.
        ----
        Салынды: 6 000 ₸
        ----
        Терминал №: 00042
        Мекенжай: Астана, Мәңгілік Ел даңғылы, 8
        Оператор: «Төлем Үлгі» ЖШС
        Анықтама: 8 800 080 77 77
        Басылды: 22.11.2026 14:06:17
        Журнал: 5120 · 1f2e3d4c5b6a7988
        Қағазды сақтаңыз
    "#]],
    );
}

#[test]
fn a_voucher_that_paid_a_part_is_on_the_receipt() {
    let mut sample = sample();
    sample.quote.balance = Some((sample.remainder.number, Amount::from_tenge(406)));
    sample.inserted = Amount::ZERO;
    let sheet = receipt(&sample.facts(Language::English), &sample.code, &sample.code_qr(), None);
    let text = sheet.text().join("\n");
    assert!(text.contains("Ваучерден / From voucher: 406\u{202f}₸ (2030 4050 6072)"), "{text}");
    assert!(!text.contains("Салынды"), "no notes went in");
}

#[test]
fn rounding_is_shown_with_its_direction() {
    let mut sample = sample();
    for (fee, cash, expected) in
        [(540_625, 5_406, Some("–0,25")), (216_250, 2_163, Some("+0,50")), (86_500, 865, None)]
    {
        sample.quote.fee = Amount::from_tiyn(fee);
        sample.quote.cash_total = Amount::from_tenge(cash);
        let text = receipt(&sample.facts(Language::English), &sample.code, "X", None).text().join("\n");
        let found = text.lines().find_map(|line| line.strip_prefix("Дөңгелектеу / Rounding: "));
        assert_eq!(found, expected.map(|sum| format!("{sum}\u{202f}₸")).as_deref());
    }
}

#[test]
fn nothing_unsigned_is_printed_of_a_service() {
    let mut sample = sample();
    let named = receipt(&sample.facts(Language::English), &sample.code, "X", None).text().join("\n");
    assert!(named.contains("State duty for issuing") && named.contains("991240000013"), "{named}");

    sample.service.kbk = 1;
    let changed = receipt(&sample.facts(Language::English), &sample.code, "X", None).text().join("\n");
    assert!(changed.contains("driving-licence") && !changed.contains("State duty"), "{changed}");
    assert!(!changed.contains("991240000013"), "{changed}");

    sample.code.service = "passport-36".try_into().unwrap();
    let text = receipt(&sample.facts(Language::English), &sample.code, "X", None).text().join("\n");
    assert!(text.contains("passport-36") && !text.contains("driving"), "{text}");
    assert!(!text.contains("991240000013"), "{text}");
}

#[test]
fn every_letter_on_paper_has_a_glyph() {
    for sheet in all_sheets(&sample()) {
        for letter in sheet.text().concat().chars() {
            for face in [raster::Face::Regular, raster::Face::Bold] {
                assert!(face.has(letter), "{letter:?}");
            }
        }
    }
}

#[test]
fn symbols_read_back_from_the_dots() {
    let sample = sample();
    for second in Language::ALL {
        for width in [DEFAULT_WIDTH, 384] {
            let facts = PaperFacts { width, ..sample.facts(second) };
            let page = receipt(&facts, &sample.code, &sample.code_qr(), Some(&sample.remainder)).page();
            assert_eq!(symbols(&page), [sample.code_qr(), sample.balance_qr()]);
            let claim = sample.quote.payment.claim_number();
            let page = claim_slip(&facts, claim, &sample.deposit_qr(), false).page();
            assert_eq!(symbols(&page), [sample.deposit_qr()]);
            let page = voucher(&facts, &sample.remainder, &sample.balance_qr()).page();
            assert_eq!(symbols(&page), [sample.balance_qr()]);
        }
    }
}

#[test]
fn same_facts_give_same_dots() {
    let (first, second) = (all_sheets(&sample()), all_sheets(&sample()));
    for (one, other) in first.iter().zip(&second) {
        let page = one.page();
        assert_eq!(page, other.page());
        assert_eq!(page.rows.len(), page.height() * usize::from(page.width) / 8);
        let most = if page.width == DEFAULT_WIDTH { 380 } else { 450 };
        assert!(page.height() < 8 * most, "{} dots: nobody carries a paper so long", page.height());
    }
}

#[test]
fn long_facts_wrap_instead_of_running_off() {
    let sample = sample();
    let facts = PaperFacts {
        width: 200,
        address: "Ұзын ".repeat(40),
        operator: "Ш".repeat(120),
        ..sample.facts(Language::English)
    };
    let page = receipt(&facts, &sample.code, &"A".repeat(1_400), None).page();
    assert_eq!(page.width, 200);
    assert!(symbols(&page).is_empty(), "a symbol that cannot be read is printed as letters");
}
