//! Puts a view model on the window, and touches back into intents.
//!
//! Lists live as long as the window and are changed row by row, so that no element is built anew without need and a scrolled
//! list stays where it is.

use slint::{
    Color, ComponentHandle, Image, Model, ModelRc, Rgb8Pixel, SharedPixelBuffer, SharedString, VecModel,
};
use std::cell::RefCell;
use std::rc::Rc;
use tolem_core::secret::Key;
use tolem_core::view::{Action, Body, Intent, Notice, Picture, Qr, Row, StageState, Tone, ViewModel, Weight};
use tolem_core::words::{Word, word};
use tolem_glass::{
    Action as ActionData, AttractView, BodyKind, Card as CardData, CatalogueView, Cell, CodeView, Common,
    InsertingView, Invitation, KeypadView, KioskWindow, Language as LanguageData, MessageView,
    Note as NoteData, Picture as PictureData, Point, Row as RowData, Stage as StageData,
    StageState as StageStateData, Switch, Tab as TabData, Theme, Tone as ToneData, Touch, View, WorkingView,
};
use tolem_protocol::catalogue::Language;

/// White modules around a symbol (ISO/IEC 18004).
const QUIET_ZONE: u32 = 4;

type Handler = Rc<dyn Fn(Intent)>;

/// Draws view models on one window.
pub(crate) struct Presenter {
    window: KioskWindow,
    lists: Lists,
    shown: RefCell<ViewModel>,
    handler: RefCell<Option<Handler>>,
}

#[derive(Default)]
struct Lists {
    steps: Rc<VecModel<SharedString>>,
    languages: Rc<VecModel<LanguageData>>,
    scroll_labels: Rc<VecModel<SharedString>>,
    primary: Rc<VecModel<ActionData>>,
    secondary: Rc<VecModel<ActionData>>,
    quiet: Rc<VecModel<ActionData>>,
    dialog: Rc<VecModel<ActionData>>,
    rows: Rc<VecModel<RowData>>,
    sums: Rc<VecModel<RowData>>,
    points: Rc<VecModel<Point>>,
    notes: Rc<VecModel<NoteData>>,
    invitations: Rc<VecModel<Invitation>>,
    states: Rc<VecModel<Point>>,
    links: Rc<VecModel<ActionData>>,
    tabs: Rc<VecModel<TabData>>,
    cards: Rc<VecModel<CardData>>,
    keyboard: Rc<VecModel<ModelRc<SharedString>>>,
    keyboard_labels: Rc<VecModel<SharedString>>,
    cells: Rc<VecModel<Cell>>,
    stages: Rc<VecModel<StageData>>,
    groups: Rc<VecModel<SharedString>>,
}

impl Presenter {
    /// Takes the window, gives it its lists and listens to it.
    pub(crate) fn new(window: KioskWindow) -> Rc<Self> {
        let lists = Lists::default();
        lists.attach(&window);
        let presenter = Rc::new(Self {
            window,
            lists,
            shown: RefCell::new(ViewModel::default()),
            handler: RefCell::new(None),
        });
        presenter.listen();
        presenter
    }

    /// The window.
    pub(crate) fn window(&self) -> &KioskWindow {
        &self.window
    }

    /// The view model on the screen.
    #[cfg(feature = "inspect")]
    pub(crate) fn has_dialog(&self) -> bool {
        self.shown.borrow().dialog.is_some()
    }

    /// Calls `handler` for each intent from now on.
    pub(crate) fn on_intent(&self, handler: impl Fn(Intent) + 'static) {
        *self.handler.borrow_mut() = Some(Rc::new(handler));
    }

    /// Shows `view` in place of the one before.
    pub(crate) fn show(&self, view: &ViewModel) {
        let before = self.shown.replace(view.clone());
        if before == *view {
            return;
        }
        self.show_frame(view);
        self.show_common(view, &before);
        self.show_body(view, &before);
        self.window.global::<View>().set_body(kind(&view.body));
    }

    fn show_frame(&self, view: &ViewModel) {
        let theme = self.window.global::<Theme>();
        theme.set_large(view.comfort.large_text);
        theme.set_contrast(view.comfort.high_contrast);
        theme.set_low(view.comfort.low_reach);
        let global = self.window.global::<View>();
        global.set_beat(!global.get_beat());
        global.set_product(shared(&view.frame.product));
        global.set_footer(shared(&view.footer));
        global.set_title(shared(&view.title));
        global.set_lead(shared(&view.lead));
        global.set_step(i32::from(view.step));
        global.set_has_notice(view.notice.is_some());
        global.set_notice(view.notice.as_ref().map(point).unwrap_or_default());
        let comfort = &view.comfort;
        global.set_large_text(switch(&comfort.large_text_label, comfort.large_text));
        global.set_high_contrast(switch(&comfort.high_contrast_label, comfort.high_contrast));
        global.set_low_reach(switch(&comfort.low_reach_label, comfort.low_reach));
        sync(&self.lists.steps, view.steps.iter().map(|name| shared(name)));
        sync(&self.lists.scroll_labels, view.frame.scroll_labels.iter().map(|label| shared(label)));
        sync(
            &self.lists.languages,
            Language::ALL.into_iter().map(|language| LanguageData {
                label: word(language, Word::LanguageShort).into(),
                selected: language == view.language,
            }),
        );
        for (list, weight) in [
            (&self.lists.primary, Weight::Primary),
            (&self.lists.secondary, Weight::Secondary),
            (&self.lists.quiet, Weight::Quiet),
        ] {
            sync(list, numbered(&view.actions).filter(|(_, action)| action.weight == weight).map(action));
        }
        let dialog = view.dialog.as_ref();
        global.set_has_dialog(dialog.is_some());
        global.set_dialog_title(shared(dialog.map_or("", |dialog| &dialog.title)));
        global.set_dialog_text(shared(dialog.map_or("", |dialog| &dialog.text)));
        sync(&self.lists.dialog, numbered(dialog.map_or(&[], |dialog| &dialog.actions)).map(action));
    }

    /// Rows, points, notes and the symbol, which several bodies have.
    fn show_common(&self, view: &ViewModel, before: &ViewModel) {
        let global = self.window.global::<Common>();
        let parts = parts(&view.body);
        global.set_has_rows(!parts.rows.is_empty());
        global.set_has_points(!parts.points.is_empty());
        global.set_has_notes(!parts.notes.is_empty());
        global.set_has_qr(parts.qr.is_some());
        // Sums never scroll out on a page of facts. Beside a symbol there is little room: sums come first.
        let (sums, rows): (Vec<&Row>, Vec<&Row>) = parts.rows.iter().partition(|row| row.strong);
        let apart = matches!(view.body, Body::Facts { .. });
        sync(&self.lists.sums, sums.iter().copied().filter(|_| apart).map(row));
        sync(&self.lists.rows, sums.into_iter().filter(|_| !apart).chain(rows).map(row));
        sync(&self.lists.points, parts.points.iter().map(point));
        sync(&self.lists.notes, parts.notes.iter().map(|value| note(value)));
        if let Some(qr) = parts.qr
            && self::parts(&before.body).qr != Some(qr)
        {
            global.set_qr_modules(i32::from(qr.size) + 2 * QUIET_ZONE.cast_signed());
            global.set_qr(picture_of(qr));
        }
    }

    fn show_body(&self, view: &ViewModel, before: &ViewModel) {
        match &view.body {
            Body::Attract { invitations, states, links } => {
                let named = invitations.iter().zip(Language::ALL).map(|(text, language)| Invitation {
                    name: word(language, Word::LanguageName).into(),
                    text: shared(text),
                });
                sync(&self.lists.invitations, named);
                sync(&self.lists.states, states.iter().map(point));
                sync(&self.lists.links, numbered(links).map(action));
            }
            Body::Catalogue { .. } => self.show_catalogue(&view.body, &before.body),
            Body::Keypad { echo, echo_label, error, erase_label, clear_label, points: _ } => {
                let global = self.window.global::<KeypadView>();
                let gaps = echo.chars().filter(|c| c.is_whitespace()).count();
                let digits = echo.chars().count() - gaps;
                global.set_units((2 * digits + gaps) as f32 / 2.0);
                global.set_echo(shared(echo));
                global.set_echo_label(shared(echo_label));
                global.set_error(shared(error));
                global.set_erase_label(shared(erase_label));
                global.set_clear_label(shared(clear_label));
                sync(&self.lists.cells, echo.chars().map(cell));
            }
            Body::Working { stages } => sync(
                &self.lists.stages,
                stages
                    .iter()
                    .map(|stage| StageData { label: shared(&stage.label), state: stage_state(stage.state) }),
            ),
            Body::Inserting { due, inserted, remaining, progress, last_note, notes: _, notes_label } => {
                let global = self.window.global::<InsertingView>();
                global.set_due(row(due));
                global.set_inserted(row(inserted));
                global.set_remaining(row(remaining));
                global.set_progress(f32::from((*progress).min(1_000)) / 1_000.0);
                global.set_has_last_note(last_note.is_some());
                global.set_last_note(last_note.as_ref().map(point).unwrap_or_default());
                global.set_notes_label(shared(notes_label));
            }
            Body::Code { label, code, qr: _, rows: _ } => {
                let global = self.window.global::<CodeView>();
                global.set_label(shared(label));
                global.set_code(shared(code));
                sync(&self.lists.groups, code.split_whitespace().map(SharedString::from));
            }
            Body::Message { tone, picture, number, number_label, qr: _, rows: _, points: _ } => {
                let global = self.window.global::<MessageView>();
                global.set_tone(tone_data(*tone));
                global.set_picture(picture_data(*picture));
                global.set_number(shared(number));
                global.set_number_label(shared(number_label));
            }
            Body::Facts { rows: _, points: _, notes: _ } => {}
        }
    }

    fn show_catalogue(&self, body: &Body, before: &Body) {
        let Body::Catalogue { tabs, query, query_hint, cards, empty, keyboard, keyboard_labels } = body
        else {
            return;
        };
        let global = self.window.global::<CatalogueView>();
        global.set_query(shared(query));
        global.set_query_hint(shared(query_hint));
        global.set_none(cards.is_empty());
        global.set_empty(shared(empty));
        global.set_searching(!keyboard.is_empty());
        sync(
            &self.lists.tabs,
            tabs.iter().map(|tab| TabData { label: shared(&tab.label), selected: tab.selected }),
        );
        let card = |card: &tolem_core::view::Card| CardData {
            title: shared(&card.title),
            detail: shared(&card.detail),
            price: shared(&card.price),
        };
        sync(&self.lists.cards, cards.iter().map(card));
        sync(&self.lists.keyboard_labels, keyboard_labels.iter().map(|label| shared(label)));
        let (same_services, same_keys) = match before {
            Body::Catalogue { cards: old, keyboard: keys, .. } => (
                old.len() == cards.len() && old.iter().zip(cards).all(|(old, new)| old.intent == new.intent),
                keys == keyboard,
            ),
            Body::Attract { .. }
            | Body::Facts { .. }
            | Body::Keypad { .. }
            | Body::Working { .. }
            | Body::Inserting { .. }
            | Body::Code { .. }
            | Body::Message { .. } => (false, false),
        };
        if !same_services {
            global.set_scroll(0.0);
        }
        if !same_keys {
            self.lists.keyboard.set_vec(keyboard.iter().map(|row| keys(row)).collect::<Vec<_>>());
        }
    }

    fn listen(self: &Rc<Self>) {
        let touch = self.window.global::<Touch>();
        // The window owns the callbacks and the presenter owns the window: only weak references may go back.
        macro_rules! listen {
            ($on:ident, |$view:ident $(, $argument:ident : $kind:ty)?| $intent:expr) => {{
                let weak = Rc::downgrade(self);
                touch.$on(move |$($argument: $kind)?| {
                    let Some(this) = weak.upgrade() else { return };
                    let intent: Option<Intent> = {
                        let $view = &*this.shown.borrow();
                        let _ = $view;
                        $intent
                    };
                    if let Some(intent) = intent {
                        this.send(intent);
                    }
                });
            }};
        }
        listen!(on_start, |view| Some(Intent::Start));
        listen!(on_action, |view, place: i32| intent_at(&view.actions, place));
        listen!(on_dialog_action, |view, place: i32| {
            view.dialog.as_ref().and_then(|dialog| intent_at(&dialog.actions, place))
        });
        // A touch beside the answers is an answer to "are you still here?" and to no other question.
        listen!(on_dialog_scrim, |view| {
            let mut answers =
                view.dialog.iter().flat_map(|dialog| &dialog.actions).map(|action| action.intent);
            answers.find(|intent| *intent == Intent::StillHere)
        });
        listen!(on_link, |view, place: i32| match &view.body {
            Body::Attract { links, .. } => intent_at(links, place),
            _ => None,
        });
        listen!(on_tab, |view, place: i32| match &view.body {
            Body::Catalogue { tabs, .. } => at(tabs, place).map(|tab| tab.intent),
            _ => None,
        });
        listen!(on_card, |view, place: i32| match &view.body {
            Body::Catalogue { cards, .. } => at(cards, place).map(|card| card.intent),
            _ => None,
        });
        listen!(on_search, |view| Some(Intent::ToggleSearch));
        listen!(on_letter, |view, letter: SharedString| letter.chars().next().map(Intent::Letter));
        listen!(on_erase, |view| Some(Intent::Erase));
        listen!(on_clear, |view| Some(Intent::Clear));
        listen!(on_digit, |view, digit: i32| u8::try_from(digit)
            .ok()
            .map(|digit| Intent::Digit(Key::new(digit))));
        listen!(on_language, |view, place: i32| language_at(place));
        listen!(on_large_text, |view| Some(Intent::ToggleLargeText));
        listen!(on_high_contrast, |view| Some(Intent::ToggleContrast));
        listen!(on_low_reach, |view| Some(Intent::ToggleLowReach));
        let weak = Rc::downgrade(self);
        touch.on_attract_language(move |place| {
            let Some(this) = weak.upgrade() else { return };
            if let Some(language) = language_at(place) {
                this.send(language);
                this.send(Intent::Start);
            }
        });
    }

    fn send(&self, intent: Intent) {
        // Cloned out of the cell: the handler may show the next view model at once.
        let handler = self.handler.borrow().clone();
        if let Some(handler) = handler {
            handler(intent);
        }
    }
}

impl Lists {
    fn attach(&self, window: &KioskWindow) {
        fn model<T: Clone + 'static>(list: &Rc<VecModel<T>>) -> ModelRc<T> {
            ModelRc::from(Rc::clone(list))
        }
        let view = window.global::<View>();
        view.set_steps(model(&self.steps));
        view.set_languages(model(&self.languages));
        view.set_scroll_labels(model(&self.scroll_labels));
        view.set_primary(model(&self.primary));
        view.set_secondary(model(&self.secondary));
        view.set_quiet(model(&self.quiet));
        view.set_dialog_actions(model(&self.dialog));
        let common = window.global::<Common>();
        common.set_rows(model(&self.rows));
        common.set_sums(model(&self.sums));
        common.set_points(model(&self.points));
        common.set_notes(model(&self.notes));
        let attract = window.global::<AttractView>();
        attract.set_invitations(model(&self.invitations));
        attract.set_states(model(&self.states));
        attract.set_links(model(&self.links));
        let catalogue = window.global::<CatalogueView>();
        catalogue.set_tabs(model(&self.tabs));
        catalogue.set_cards(model(&self.cards));
        catalogue.set_keyboard(model(&self.keyboard));
        catalogue.set_keyboard_labels(model(&self.keyboard_labels));
        window.global::<KeypadView>().set_cells(model(&self.cells));
        window.global::<WorkingView>().set_stages(model(&self.stages));
        window.global::<CodeView>().set_groups(model(&self.groups));
    }
}

/// What several bodies have in common.
#[derive(Default)]
struct Parts<'a> {
    rows: &'a [Row],
    points: &'a [Notice],
    notes: &'a [String],
    qr: Option<&'a Qr>,
}

fn parts(body: &Body) -> Parts<'_> {
    match body {
        Body::Facts { rows, points, notes } => Parts { rows, points, notes, qr: None },
        Body::Keypad { points, .. } => Parts { points, ..Parts::default() },
        Body::Inserting { notes, .. } => Parts { notes, ..Parts::default() },
        Body::Code { qr, rows, .. } => Parts { rows, qr: qr.as_ref(), ..Parts::default() },
        Body::Message { qr, rows, points, .. } => Parts { rows, points, qr: qr.as_ref(), ..Parts::default() },
        Body::Attract { .. } | Body::Catalogue { .. } | Body::Working { .. } => Parts::default(),
    }
}

/// Makes `list` equal to `rows` and touches only what differs.
fn sync<T: Clone + PartialEq + 'static>(list: &VecModel<T>, rows: impl Iterator<Item = T>) {
    let mut count = 0;
    for row in rows {
        if count == list.row_count() {
            list.push(row);
        } else if list.row_data(count).as_ref() != Some(&row) {
            list.set_row_data(count, row);
        }
        count += 1;
    }
    while list.row_count() > count {
        list.remove(list.row_count() - 1);
    }
}

fn at<T>(list: &[T], place: i32) -> Option<&T> {
    list.get(usize::try_from(place).ok()?)
}

fn intent_at(actions: &[Action], place: i32) -> Option<Intent> {
    at(actions, place).filter(|action| action.enabled).map(|action| action.intent)
}

fn language_at(place: i32) -> Option<Intent> {
    at(&Language::ALL, place).map(|language| Intent::SetLanguage(*language))
}

fn shared(text: &str) -> SharedString {
    SharedString::from(text)
}

fn numbered(actions: &[Action]) -> impl Iterator<Item = (i32, &Action)> {
    (0..).zip(actions)
}

fn action((index, action): (i32, &Action)) -> ActionData {
    ActionData { index, label: shared(&action.label), enabled: action.enabled }
}

fn switch(label: &str, on: bool) -> Switch {
    Switch { label: shared(label), on }
}

fn point(notice: &Notice) -> Point {
    Point { tone: tone_data(notice.tone), text: shared(&notice.text) }
}

fn row(row: &Row) -> RowData {
    RowData { label: shared(&row.label), value: shared(&row.value), strong: row.strong }
}

fn cell(c: char) -> Cell {
    let glyph = if c == '_' || c.is_whitespace() {
        SharedString::default()
    } else {
        SharedString::from(c.to_string())
    };
    Cell { glyph, gap: c.is_whitespace() }
}

fn keys(row: &str) -> ModelRc<SharedString> {
    ModelRc::new(VecModel::from(row.chars().map(|c| SharedString::from(c.to_string())).collect::<Vec<_>>()))
}

/// Banknotes are told apart by colour before they are read: roughly the hues of the notes in use.
fn note(value: &str) -> NoteData {
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let tint = match digits.as_str() {
        "200" => 0x8a_5a_2b,
        "500" => 0x2f_66_90,
        "1000" => 0x8a_6a_14,
        "2000" => 0x2f_74_4a,
        "5000" => 0xa0_4a_38,
        "10000" => 0x45_58_a0,
        "20000" => 0x6f_43_82,
        _ => 0x40_53_5d,
    };
    NoteData { value: shared(value), tint: Color::from_argb_encoded(0xff00_0000 | tint) }
}

fn kind(body: &Body) -> BodyKind {
    match body {
        Body::Attract { .. } => BodyKind::Attract,
        Body::Catalogue { .. } => BodyKind::Catalogue,
        Body::Facts { .. } => BodyKind::Facts,
        Body::Keypad { .. } => BodyKind::Keypad,
        Body::Working { .. } => BodyKind::Working,
        Body::Inserting { .. } => BodyKind::Inserting,
        Body::Code { .. } => BodyKind::Code,
        Body::Message { .. } => BodyKind::Message,
    }
}

fn tone_data(tone: Tone) -> ToneData {
    match tone {
        Tone::Info => ToneData::Info,
        Tone::Good => ToneData::Good,
        Tone::Warning => ToneData::Warning,
        Tone::Alarm => ToneData::Alarm,
    }
}

fn stage_state(state: StageState) -> StageStateData {
    match state {
        StageState::Done => StageStateData::Done,
        StageState::Active => StageStateData::Active,
        StageState::Waiting => StageStateData::Waiting,
    }
}

fn picture_data(picture: Picture) -> PictureData {
    match picture {
        Picture::None => PictureData::None,
        Picture::Receipt => PictureData::Receipt,
        Picture::Slip => PictureData::Slip,
        Picture::Closed => PictureData::Closed,
        Picture::Question => PictureData::Question,
        Picture::NoPaper => PictureData::NoPaper,
        Picture::CardIn => PictureData::CardIn,
        Picture::CardOut => PictureData::CardOut,
        Picture::PinPad => PictureData::PinPad,
    }
}

/// One pixel per module, with the quiet zone; a symbol whose `dark` is too short ends white.
fn picture_of(qr: &Qr) -> Image {
    let size = u32::from(qr.size);
    let side = size + 2 * QUIET_ZONE;
    let mut buffer = SharedPixelBuffer::<Rgb8Pixel>::new(side, side);
    buffer.make_mut_slice().fill(Rgb8Pixel::new(255, 255, 255));
    for (place, _) in (0..size * size).zip(&qr.dark).filter(|(_, dark)| **dark) {
        let (x, y) = (place % size + QUIET_ZONE, place / size + QUIET_ZONE);
        buffer.make_mut_slice()[(y * side + x) as usize] = Rgb8Pixel::new(0, 0, 0);
    }
    Image::from_rgb8(buffer)
}
