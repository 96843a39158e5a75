//! The kernel side of tracer403: the list of its probes.
//!
//! Each probe is a line here and a file of its own; `emit` is the only way out. The table of the
//! same probes with what each is for is `tracer/src/source/probes.rs`.
#![no_std]
#![no_main]
// For the one instruction in `emit` that no library offers on this target.
#![feature(asm_experimental_arch)]

mod emit;
mod ends;
mod exec;
mod headers;
mod hold;
mod owner;
mod packet;
mod settings;
mod slots;
mod sock;
mod talk;

use aya_ebpf::bindings::TC_ACT_UNSPEC;
use aya_ebpf::macros::{btf_tracepoint, cgroup_skb, classifier};
use aya_ebpf::programs::{BtfTracePointContext, SkBuffContext, TcContext};
use packet::Place;
use tracer_common::{
    HOOK_EGRESS, HOOK_INGRESS, LINK_ETHERNET, LINK_RAW_IP, USED_RECEIVED, USED_SENT,
};

/// What a cgroup program answers to let a packet pass. This tool never does anything else.
const PASS: i32 = 1;
/// What a tc program answers to leave a packet to the next one.
const NEXT: i32 = TC_ACT_UNSPEC;

/// Packets into sockets of a cgroup.
#[cgroup_skb(ingress)]
pub fn cgroup_ingress(ctx: SkBuffContext) -> i32 {
    packet::take(&ctx.skb, HOOK_INGRESS, LINK_RAW_IP, Place::Socket);
    PASS
}

/// Packets out of sockets of a cgroup.
#[cgroup_skb(egress)]
pub fn cgroup_egress(ctx: SkBuffContext) -> i32 {
    packet::take(&ctx.skb, HOOK_EGRESS, LINK_RAW_IP, Place::Socket);
    PASS
}

/// Packets in through an interface with Ethernet headers.
#[classifier]
pub fn tc_ingress(ctx: TcContext) -> i32 {
    packet::take(&ctx.skb, HOOK_INGRESS, LINK_ETHERNET, Place::Interface);
    NEXT
}

/// Packets out through an interface with Ethernet headers.
#[classifier]
pub fn tc_egress(ctx: TcContext) -> i32 {
    packet::take(&ctx.skb, HOOK_EGRESS, LINK_ETHERNET, Place::Interface);
    NEXT
}

/// Packets in through an interface without link header (tunnels).
#[classifier]
pub fn tc_ingress_ip(ctx: TcContext) -> i32 {
    packet::take(&ctx.skb, HOOK_INGRESS, LINK_RAW_IP, Place::Interface);
    NEXT
}

/// Packets out through an interface without link header (tunnels).
#[classifier]
pub fn tc_egress_ip(ctx: TcContext) -> i32 {
    packet::take(&ctx.skb, HOOK_EGRESS, LINK_RAW_IP, Place::Interface);
    NEXT
}

/// A process sent on a socket.
#[btf_tracepoint(function = "sock_send_length")]
pub fn owner_sent(ctx: BtfTracePointContext) -> i32 {
    owner::learn(&ctx, USED_SENT);
    0
}

/// A process received from a socket.
#[btf_tracepoint(function = "sock_recv_length")]
pub fn owner_received(ctx: BtfTracePointContext) -> i32 {
    owner::learn(&ctx, USED_RECEIVED);
    0
}

/// A TCP socket went from one state to another.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn connecting(ctx: BtfTracePointContext) -> i32 {
    talk::connecting(&ctx);
    0
}

/// A process started a program.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn exec(ctx: BtfTracePointContext) -> i32 {
    exec::report(&ctx);
    0
}

/// The kernel reads it: some helpers are for programs under the GPL only.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
pub static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Never reached: the verifier refuses a program that could come here.
#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
