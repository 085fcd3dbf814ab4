//! What third-party code may not do, though it is started by root or by the owner of a user namespace: it has no
//! capability, cannot get one, and system calls that change mounts, namespaces or other processes are refused.
//!
//! The list is what bubblewrap's users and Docker's default profile refuse, of what a build could use to get out;
//! docs/reproducible.md has it.

use std::collections::BTreeMap;

use caps::CapSet;
use landlock::{ABI, Access as _, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetError, Scope};
use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// Refused with EPERM, whatever the arguments.
const REFUSED: &[i64] = &[
    // Mounts.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // The kernel's keys, programs and faults.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    // The machine.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_vhangup,
    libc::SYS_lookup_dcookie,
];

/// Those of this processor only.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[i64] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_kexec_file_load, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

/// Refused with ENOSYS: programs then use older calls, which the filter sees into. The flags of `clone3` lie in memory.
const ABSENT: &[i64] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// `clone` with one of these flags makes a namespace.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// `ioctl`s that type into a terminal.
const TYPING: [u64; 2] = [0x5412, 0x541c];

/// Gives up every capability of this thread and of all that it starts, for good, and refuses the system calls above. To be
/// called before there is another thread.
pub fn confine() -> Result<(), String> {
    for set in [CapSet::Ambient, CapSet::Bounding, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(|e| format!("give up capabilities: {e}"))?;
    }
    nix::sys::prctl::set_no_new_privs().map_err(|e| format!("prctl: {e}"))?;
    keep_to_itself().map_err(|e| format!("scope sockets and signals: {e}"))?;
    for filter in filters().map_err(|e| format!("make the filter of system calls: {e}"))? {
        apply_filter(&filter).map_err(|e| format!("filter system calls: {e}"))?;
    }
    Ok(())
}

/// Abstract Unix sockets are those of the network that a process sees, so that one with the machine's network could talk to
/// services that trust whoever reaches them; the kernel has to say no, since their names are no arguments of a call. One
/// before Linux 6.12 cannot.
fn keep_to_itself() -> Result<(), RulesetError> {
    let scopes = Ruleset::default().set_compatibility(CompatLevel::BestEffort).scope(Scope::from_all(ABI::V6))?;
    scopes.create()?.restrict_self().map(drop)
}

fn filters() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let errno = |code: i32| SeccompAction::Errno(code.unsigned_abs());
    let filter = |rules, action| -> Result<BpfProgram, seccompiler::BackendError> {
        SeccompFilter::new(rules, SeccompAction::Allow, action, std::env::consts::ARCH.try_into()?)?.try_into()
    };
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().chain(REFUSED_HERE).map(|call| (*call, vec![])).collect();
    let has_flag = |flag: i32| {
        let flag = u64::from(flag.unsigned_abs());
        rule(0, SeccompCmpOp::MaskedEq(flag), flag)
    };
    refused.insert(libc::SYS_clone, NAMESPACES.into_iter().map(has_flag).collect::<Result<_, _>>()?);
    let typing = TYPING.into_iter().map(|request| rule(1, SeccompCmpOp::Eq, request));
    refused.insert(libc::SYS_ioctl, typing.collect::<Result<_, _>>()?);
    // x32 has the same calls under other numbers.
    #[cfg(target_arch = "x86_64")]
    for (call, rules) in refused.clone() {
        refused.insert(call | 0x4000_0000, rules);
    }
    let absent = ABSENT.iter().map(|call| (*call, vec![])).collect();
    Ok([filter(refused, errno(libc::EPERM))?, filter(absent, errno(libc::ENOSYS))?])
}

fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    // The kernel looks at the lower half of both.
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?])
}
