//! What the tasks of one worker share.

use std::cell::RefCell;
use std::sync::Arc;

use crate::app::process::Process;
use crate::console::Console;
use crate::console::settings::ConsoleSettings;
use crate::session::context::Context;

/// What the tasks of one worker share.
pub(super) struct Place {
    pub(super) session: Context,
    pub(super) console: Arc<Console>,
    pub(super) console_settings: RefCell<Arc<ConsoleSettings>>,
    pub(super) process: Arc<Process>,
}
