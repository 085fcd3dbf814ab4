"""What a hostile build script tries. A line for each: what, and `refused` or what it got."""

import ctypes
import errno
import fcntl
import os
import platform
import socket
import stat
import subprocess
import sys

VICTIM, SECRET, OUTSIDE = int(sys.argv[1]), sys.argv[2], sys.argv[3]
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = {
    "x86_64": {"keyctl": 250, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "clone": 56, "open_tree": 428,
               "pivot_root": 155, "clone3": 435, "fsopen": 430, "io_uring_setup": 425, "pidfd_open": 434,
               "pidfd_getfd": 438, "open_by_handle_at": 304},
    "aarch64": {"keyctl": 219, "bpf": 280, "userfaultfd": 282, "perf_event_open": 241, "clone": 220, "open_tree": 428,
                "pivot_root": 41, "clone3": 435, "fsopen": 430, "io_uring_setup": 425, "pidfd_open": 434,
                "pidfd_getfd": 438, "open_by_handle_at": 265},
}[platform.machine()]


def call(function, *args):
    """The result of a C function, an error as an exception."""
    ctypes.set_errno(0)
    result = function(*args)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def syscall(name, *args):
    return call(libc.syscall, NUMBERS[name], *args)


def attempt(what, function):
    try:
        got = function()
    except OSError as error:
        got = None if error.errno else error
    print(f"{what}: {'refused' if got is None else got}", flush=True)


def status(name):
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(name + ":"))


def capabilities():
    sets = {name: status(name) for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]}
    return None if all(int(value, 16) == 0 for value in sets.values()) else sets


def after_exec():
    """What a program gets that is started anew."""
    text = subprocess.run(["/bin/cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in text.splitlines() if line.startswith("Cap") and int(line.split()[1], 16) != 0]
    return lines or None


def environments():
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/environ") as file:
                    if SECRET in file.read():
                        found.append(entry)
            except OSError:
                pass
    return found or None


def through_roots():
    """The machine's files through the roots of processes."""
    found = [p for p in os.listdir("/proc") if p.isdigit() and os.path.exists(f"/proc/{p}/root{OUTSIDE}")]
    return found or None


def new_user_namespace():
    flags = 0x10000000 | 17
    pid = syscall("clone", flags, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "a namespace"


def clone3_into_a_user_namespace():
    args = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
    pid = syscall("clone3", ctypes.byref(args), ctypes.sizeof(args))
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "a namespace"


def ptrace_of_a_child():
    """Not even of what the script has started: a tracer changes the arguments of system calls after they were filtered."""
    child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        return call(libc.ptrace, 16, child.pid, 0, 0)
    finally:
        child.kill()
        child.wait()


def descriptor_of_process_1():
    return syscall("pidfd_getfd", syscall("pidfd_open", 1, 0), 0, 0)


def memory_of_process_1():
    os.close(os.open("/proc/1/mem", os.O_RDWR))
    return "opened"


def descriptors():
    """What was left open by those who started the script."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            link = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # The folder that is being listed.
        if int(name) > 2 and link != sys.argv[0]:
            found.append(link)
    return found or None


def mounts():
    with open("/proc/self/mountinfo") as file:
        return [line.split()[4] for line in file]


def writes():
    """To every folder and file that is shown, but for those that are to be written to."""
    found = []
    for at in mounts():
        # What is hidden is `/dev/null`.
        if at in ["/build/work", "/dev/shm"] or stat.S_ISCHR(os.stat(at).st_mode):
            continue
        for path in [at, os.path.join(at, "new")]:
            try:
                os.close(os.open(path, os.O_WRONLY | (0 if path == at else os.O_CREAT), 0o600))
                found.append(path)
            except OSError:
                pass
    return found or None


def setuid():
    """Places of which a program may be started as its owner."""
    found = [at for at in mounts() if os.path.isdir(at) and not os.statvfs(at).f_flag & os.ST_NOSUID]
    return found or None


def write(path):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.close(descriptor)
    return f"wrote {path}"


def terminal():
    os.close(os.open("/dev/tty", os.O_RDWR))
    return "a terminal"


def type_ahead():
    try:
        fcntl.ioctl(1, 0x5412, b"x")
    except OSError as error:
        return None if error.errno == errno.EPERM else error
    return "typed"


def abstract_socket():
    """To a socket of the machine, whose network this is; landlock_create_ruleset says which landlock there is."""
    if libc.syscall(444, None, 0, 1) < 6:
        return "of a kernel without scopes"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + sys.argv[5])
    return "connected"


def present(path):
    return "there" if os.path.lexists(path) else None


def others(folder, allowed):
    return sorted(set(os.listdir(folder)) - set(allowed)) or None


BIND_REMOUNT = 4096 | 32
attempt("descriptors that were left open", descriptors)
attempt("capabilities", capabilities)
attempt("capabilities of a new program", after_exec)
attempt("new privileges", lambda: None if status("NoNewPrivs") == "1" else "granted")
attempt("umount /proc", lambda: call(libc.umount2, b"/proc", 2))
attempt("umount /build/tools", lambda: call(libc.umount2, b"/build/tools", 2))
attempt("remount /usr for writing", lambda: call(libc.mount, b"none", b"/usr", None, BIND_REMOUNT, None))
attempt("remount /build/tools for writing", lambda: call(libc.mount, b"none", b"/build/tools", None, BIND_REMOUNT, None))
attempt("mount a tmpfs", lambda: call(libc.mount, b"x", b"/build/work", b"tmpfs", 0, None))
attempt("open a tree of mounts", lambda: syscall("open_tree", -100, b"/", 1))
attempt("chroot", lambda: os.chroot("/build/work"))
attempt("pivot_root", lambda: syscall("pivot_root", b".", b"."))
attempt("a file system by the newer calls", lambda: syscall("fsopen", b"tmpfs", 0))
attempt("a file by its handle", lambda: syscall("open_by_handle_at", -100, None, 0))
attempt("unshare a user namespace", lambda: call(libc.unshare, 0x10000000))
attempt("clone into a user namespace", new_user_namespace)
attempt("clone3 into a user namespace", clone3_into_a_user_namespace)
attempt("setns", lambda: call(libc.setns, os.open("/proc/1/ns/mnt", os.O_RDONLY), 0))
attempt("ptrace process 1", lambda: call(libc.ptrace, 16, 1, 0, 0))
attempt("read the memory of process 1", lambda: call(libc.process_vm_readv, 1, None, 0, None, 0, 0))
attempt("open the memory of process 1", memory_of_process_1)
attempt("descriptors of process 1", descriptor_of_process_1)
attempt("ptrace a child", ptrace_of_a_child)
attempt("io_uring", lambda: syscall("io_uring_setup", 1, None))
attempt("keyctl", lambda: syscall("keyctl", 0, -3, 1))
attempt("bpf", lambda: syscall("bpf", 0, 0, 0))
attempt("userfaultfd", lambda: syscall("userfaultfd", 1))
attempt("perf_event_open", lambda: syscall("perf_event_open", 0, 0, -1, -1, 0))
attempt("mknod", lambda: os.mknod("/build/work/disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0)))
attempt("signal to factory", lambda: os.kill(VICTIM, 0))
attempt("signal to process 1", lambda: os.kill(1, 9))
attempt("abstract socket of the machine", abstract_socket)
attempt("environment of factory", environments)
attempt("files through /proc", through_roots)
attempt("files outside", lambda: present(OUTSIDE))
attempt("the machine's /proc", lambda: present("/.proc"))
attempt("/sys", lambda: present("/sys"))
attempt("the terminal", terminal)
attempt("typing into the terminal", type_ahead)
attempt("core_pattern", lambda: write("/proc/sys/kernel/core_pattern"))
attempt("sysrq", lambda: write("/proc/sysrq-trigger"))
attempt("write to /", lambda: write("/new"))
attempt("write to /etc", lambda: write("/etc/new"))
attempt("write to /etc/passwd", lambda: write("/etc/passwd"))
attempt("write to /usr", lambda: write("/usr/new"))
attempt("write to /dev", lambda: write("/dev/new"))
attempt("write to the program of factory", lambda: write("/.factory"))
attempt("write to the tools", lambda: write("/build/tools/node"))
attempt("chmod the tools", lambda: os.chmod("/build/tools/node", 0o777))
attempt("rename the tools", lambda: os.rename("/build/tools/node", "/build/tools/other"))
attempt("remove the tools", lambda: os.unlink("/build/tools/node"))
attempt("write to anything that is shown", writes)
attempt("setuid programs", setuid)
attempt("users of the machine", lambda: others("/etc", sys.argv[4].split()))

# What a build may do.
with open("/build/work/made", "w") as file:
    file.write(open("/build/tools/node").read())
assert open("/etc/passwd").read().startswith("root:x:0:0:root:/build/home:/bin/sh\n")
assert subprocess.run(["/bin/true"]).returncode == 0
os.mkdir("/build/work/folder")
os.rename("/build/work/made", "/build/work/folder/made")
os.rename("/build/work/folder/made", "/build/work/made")
with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
    server.bind("\0" + sys.argv[5] + ".own")
    server.listen()
    client.connect("\0" + sys.argv[5] + ".own")
subprocess.Popen(["/bin/sleep", "60"]).terminate()
with open("/dev/null", "w") as file:
    file.write("x")
print("built")
