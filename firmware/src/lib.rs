//! The kiosk application: composes, decides nothing.
