//! Status bytes: DLE EOT 1..4 and the four bytes of Automatic Status Back.

/// Whether `byte` has the fixed bits of a DLE EOT answer (0xx1xx10).
pub const fn is_status(byte: u8) -> bool {
    byte & 0b1001_0011 == 0b0001_0010
}

/// A struct of named bits with fixed bits around them.
macro_rules! bits {
    ($(#[$doc:meta])* $name:ident: $fixed:literal under $mask:literal { $($(#[$field_doc:meta])* $field:ident = $bit:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: bool,)*
        }

        impl $name {
            /// Reads the byte; `None` if its fixed bits are wrong.
            pub const fn parse(byte: u8) -> Option<Self> {
                if byte & $mask != $fixed {
                    return None;
                }
                Some(Self { $($field: byte & $bit == $bit,)* })
            }

            /// The byte.
            pub const fn byte(self) -> u8 {
                $fixed $(| if self.$field { $bit } else { 0 })*
            }
        }
    };
}

bits! {
    /// Answer to DLE EOT 1.
    PrinterState: 0x12 under 0x93 {
        /// Drawer connector pin 3 is high.
        drawer = 0x04,
        /// It takes no data.
        offline = 0x08,
        /// It waits for DLE ENQ after an error.
        waiting_recovery = 0x20,
        /// The feed button is pressed.
        feed_button = 0x40,
    }
}

bits! {
    /// Answer to DLE EOT 2: why it is offline.
    OfflineCause: 0x12 under 0x93 {
        /// The cover is open.
        cover_open = 0x04,
        /// Paper is being fed by the button.
        feeding = 0x08,
        /// Stopped: no paper.
        paper_end = 0x20,
        /// An error; see [`ErrorCause`].
        error = 0x40,
    }
}

bits! {
    /// Answer to DLE EOT 3.
    ErrorCause: 0x12 under 0x93 {
        /// Recoverable, not the cutter.
        recoverable = 0x04,
        /// The cutter.
        cutter = 0x08,
        /// Not recoverable: electronics, voltage.
        unrecoverable = 0x20,
        /// Goes away by itself: head too hot, cover open.
        auto_recoverable = 0x40,
    }
}

/// Answer to DLE EOT 4. Each sensor has two bits; one set bit is enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PaperState {
    /// The roll is nearly used up.
    pub near_end: bool,
    /// No paper.
    pub end: bool,
}

impl PaperState {
    /// Reads the byte; `None` if its fixed bits are wrong.
    pub const fn parse(byte: u8) -> Option<Self> {
        if !is_status(byte) {
            return None;
        }
        Some(Self { near_end: byte & 0x0C != 0, end: byte & 0x60 != 0 })
    }

    /// The byte.
    pub const fn byte(self) -> u8 {
        0x12 | if self.near_end { 0x0C } else { 0 } | if self.end { 0x60 } else { 0 }
    }
}

/// Automatic Status Back, bytes 1 to 3 (byte 4 is reserved).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asb {
    /// Drawer connector pin 3 is high.
    pub drawer: bool,
    /// It takes no data.
    pub offline: bool,
    /// The cover is open.
    pub cover_open: bool,
    /// Paper is being fed by the button.
    pub feeding: bool,
    /// It waits for DLE ENQ after an error.
    pub waiting_recovery: bool,
    /// The feed button is pressed.
    pub feed_button: bool,
    /// Errors.
    pub error: ErrorCause,
    /// Paper.
    pub paper: PaperState,
}

impl Asb {
    /// Whether `byte` can be the first of the four (0xx1xx00).
    pub const fn is_first(byte: u8) -> bool {
        byte & 0b1001_0011 == 0b0001_0000
    }

    /// Reads the four bytes; `None` if their fixed bits are wrong.
    pub const fn parse([first, second, third, fourth]: [u8; 4]) -> Option<Self> {
        if !Self::is_first(first) || (second | third | fourth) & 0b1001_0000 != 0 {
            return None;
        }
        Some(Self {
            drawer: first & 0x04 != 0,
            offline: first & 0x08 != 0,
            cover_open: first & 0x20 != 0,
            feeding: first & 0x40 != 0,
            waiting_recovery: second & 0x01 != 0,
            feed_button: second & 0x02 != 0,
            error: ErrorCause {
                recoverable: second & 0x04 != 0,
                cutter: second & 0x08 != 0,
                unrecoverable: second & 0x20 != 0,
                auto_recoverable: second & 0x40 != 0,
            },
            paper: PaperState { near_end: third & 0x03 != 0, end: third & 0x0C != 0 },
        })
    }

    /// The four bytes.
    pub const fn bytes(self) -> [u8; 4] {
        const fn bit(set: bool, value: u8) -> u8 {
            if set { value } else { 0 }
        }
        [
            0x10 | bit(self.drawer, 0x04)
                | bit(self.offline, 0x08)
                | bit(self.cover_open, 0x20)
                | bit(self.feeding, 0x40),
            bit(self.waiting_recovery, 0x01)
                | bit(self.feed_button, 0x02)
                | bit(self.error.recoverable, 0x04)
                | bit(self.error.cutter, 0x08)
                | bit(self.error.unrecoverable, 0x20)
                | bit(self.error.auto_recoverable, 0x40),
            bit(self.paper.near_end, 0x03) | bit(self.paper.end, 0x0C),
            0,
        ]
    }
}
