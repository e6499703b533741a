//! The citizen's screen: draws a view model, sends intents.
