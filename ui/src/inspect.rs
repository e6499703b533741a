//! What is on the screen, element by element: for tests, and for a robot that taps by label.
//!
//! Walks the accessibility properties of the item tree that is drawn, so that a label nobody can see is not listed and a button
//! under a question cannot be found. Only with feature `inspect`.

use crate::screen::Screen;
use i_slint_core::accessibility::AccessibleStringProperty;
use i_slint_core::items::{AccessibleRole, ComplexText, Flickable, ItemRc, Orientation, SimpleText};
use i_slint_core::lengths::LogicalRect;
use i_slint_core::window::WindowInner;
use slint::ComponentHandle;

/// What an element is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Can be touched.
    Button,
    /// Words.
    Text,
    /// Something typed; touching it may open a keyboard.
    TextInput,
    /// How far something is.
    Progress,
    /// A picture with a meaning.
    Image,
}

impl Role {
    /// Its name, as in ARIA.
    pub fn name(self) -> &'static str {
        match self {
            Self::Button => "button",
            Self::Text => "text",
            Self::TextInput => "textbox",
            Self::Progress => "progressbar",
            Self::Image => "img",
        }
    }

    fn from_accessible(role: AccessibleRole) -> Option<Self> {
        Some(match role {
            AccessibleRole::Button => Self::Button,
            AccessibleRole::Text => Self::Text,
            AccessibleRole::TextInput => Self::TextInput,
            AccessibleRole::ProgressIndicator => Self::Progress,
            AccessibleRole::Image => Self::Image,
            _ => return None,
        })
    }
}

/// One element that can be seen.
#[derive(Clone, PartialEq, Debug)]
pub struct Element {
    /// What it is.
    pub role: Role,
    /// What it says.
    pub label: String,
    /// What was typed, what is shown beside the label, how far it is; may be empty.
    pub value: String,
    /// Left edge of its visible part, in pixels.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width of the visible part.
    pub width: f32,
    /// Height of the visible part.
    pub height: f32,
    /// Whether it answers to a touch.
    pub enabled: bool,
    /// Whether it is the chosen one of several.
    pub selected: bool,
    /// Whether it is seen whole and not scrolled out.
    pub whole: bool,
    /// Whether its words need no more room than they have.
    pub fits: bool,
    /// Whether it is the label of the button before it, in the order of the list.
    pub inside: bool,
    /// Whether it is in something that scrolls.
    pub scrolls: bool,
}

impl Element {
    /// The middle of its visible part: where to touch it.
    pub fn center(&self) -> (f32, f32) {
        (self.x + self.width / 2.0, self.y + self.height / 2.0)
    }
}

impl Screen {
    /// Everything that can be seen, in the order in which it is drawn.
    pub fn elements(&self) -> Vec<Element> {
        slint::platform::update_timers_and_animations();
        let component = WindowInner::from_pub(self.presenter.window().window()).component();
        let (width, height) = self.size();
        let all = LogicalRect::from_size((width as f32, height as f32).into());
        let mut list = Vec::new();
        let place = Place { clip: all, inside: false, scrolls: false, dialog: self.presenter.has_dialog() };
        walk(&ItemRc::new_root(component), place, &mut list);
        list
    }

    /// The first button or text field with this label that can be touched.
    pub fn find(&self, label: &str) -> Option<Element> {
        self.elements().into_iter().find(|element| {
            matches!(element.role, Role::Button | Role::TextInput)
                && element.enabled
                && element.label == label
        })
    }
}

#[derive(Clone, Copy)]
struct Place {
    clip: LogicalRect,
    inside: bool,
    scrolls: bool,
    dialog: bool,
}

fn walk(item: &ItemRc, mut place: Place, list: &mut Vec<Element>) {
    // The page under a question is seen dimly and cannot be touched.
    if place.dialog && property(item, AccessibleStringProperty::Id) == "page" {
        return;
    }
    let geometry = item.geometry();
    let visible = LogicalRect::new(item.map_to_window(geometry.origin), geometry.size);
    let shown = place.clip.intersection(&visible);
    if let Some(role) = Role::from_accessible(item.accessible_role())
        && let Some(shown) = shown.filter(|shown| shown.width() >= 1.0 && shown.height() >= 1.0)
    {
        let label = property(item, AccessibleStringProperty::Label);
        if !label.is_empty() {
            list.push(Element {
                role,
                label,
                value: property(item, AccessibleStringProperty::Value),
                x: shown.origin.x,
                y: shown.origin.y,
                width: shown.width(),
                height: shown.height(),
                enabled: property(item, AccessibleStringProperty::Enabled) != "false",
                selected: property(item, AccessibleStringProperty::ItemSelected) == "true",
                whole: near(shown, visible),
                fits: words_fit(item),
                inside: place.inside,
                scrolls: place.scrolls,
            });
        }
        place.inside |= role != Role::Text;
    }
    if item.borrow().as_ref().clips_children() {
        match shown {
            Some(shown) => place.clip = shown,
            None => return,
        }
    }
    place.scrolls |= item.downcast::<Flickable>().is_some();
    let mut child = item.first_child();
    while let Some(next) = child {
        walk(&next, place, list);
        child = next.next_sibling();
    }
}

fn near(a: LogicalRect, b: LogicalRect) -> bool {
    (a.width() - b.width()).abs() < 1.5 && (a.height() - b.height()).abs() < 1.5
}

fn property(item: &ItemRc, property: AccessibleStringProperty) -> String {
    item.accessible_string_property(property).map(String::from).unwrap_or_default()
}

/// Whether the words of a text need no more room than they have.
fn words_fit(item: &ItemRc) -> bool {
    if item.downcast::<ComplexText>().is_none() && item.downcast::<SimpleText>().is_none() {
        return true;
    }
    let Some(adapter) = item.window_adapter() else { return true };
    let size = item.geometry().size;
    let needs =
        |orientation, across| item.borrow().as_ref().layout_info(orientation, across, &adapter, item).min;
    needs(Orientation::Horizontal, -1.0) <= size.width + 1.0
        && needs(Orientation::Vertical, size.width) <= size.height + 1.0
}
