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
    "x86_64": {"keyctl": 250, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "clone": 56, "open_tree": 428},
    "aarch64": {"keyctl": 219, "bpf": 280, "userfaultfd": 282, "perf_event_open": 241, "clone": 220, "open_tree": 428},
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
attempt("unshare a user namespace", lambda: call(libc.unshare, 0x10000000))
attempt("clone into a user namespace", new_user_namespace)
attempt("setns", lambda: call(libc.setns, os.open("/proc/1/ns/mnt", os.O_RDONLY), 0))
attempt("ptrace process 1", lambda: call(libc.ptrace, 16, 1, 0, 0))
attempt("read the memory of process 1", lambda: call(libc.process_vm_readv, 1, None, 0, None, 0, 0))
attempt("keyctl", lambda: syscall("keyctl", 0, -3, 1))
attempt("bpf", lambda: syscall("bpf", 0, 0, 0))
attempt("userfaultfd", lambda: syscall("userfaultfd", 1))
attempt("perf_event_open", lambda: syscall("perf_event_open", 0, 0, -1, -1, 0))
attempt("mknod", lambda: os.mknod("/build/work/disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0)))
attempt("signal to factory", lambda: os.kill(VICTIM, 0))
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
