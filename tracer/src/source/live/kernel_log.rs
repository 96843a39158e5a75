//! Messages of the kernel side (aya-log), handed on to `tracing`.

use aya::Ebpf;
use aya_log::EbpfLogger;

/// What reads the messages.
pub(super) struct KernelLog(EbpfLogger<Forward>);

impl KernelLog {
    /// `None` where the kernel side has no messages to send.
    pub(super) fn take(ebpf: &mut Ebpf) -> Option<Self> {
        EbpfLogger::init_with_logger(ebpf, Forward).ok().map(Self)
    }

    /// Hands on the messages there are.
    pub(super) fn forward(&mut self) {
        self.0.flush();
    }
}

struct Forward;

impl log::Log for Forward {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let (from, message) = (record.target(), record.args());
        match record.level() {
            log::Level::Error => tracing::error!(from, "kernel side: {message}"),
            log::Level::Warn => tracing::warn!(from, "kernel side: {message}"),
            log::Level::Info => tracing::info!(from, "kernel side: {message}"),
            log::Level::Debug => tracing::debug!(from, "kernel side: {message}"),
            log::Level::Trace => tracing::trace!(from, "kernel side: {message}"),
        }
    }

    fn flush(&self) {}
}
