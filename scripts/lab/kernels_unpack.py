# SPDX-License-Identifier: GPL-2.0
"""Turns the packages of a kernel into a tree that can be booted and built against."""

import gzip
import lzma
import os
import pathlib
import re
import shutil
import subprocess

import kernels_root
from kernels_archive import KernelError

FLAVOUR = "cloud-amd64"

# The parts of a kernel that only fit each other; the rest of what its packages
# depend on is there for installing or booting it on real hardware.
_PARTS = re.compile(r"linux-(headers|kbuild|binary|modules|image|base-\d)")

_PROBE = """\
// SPDX-License-Identifier: GPL-2.0
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/tracepoint.h>

static int probe_seen(struct notifier_block *nb, unsigned long what, void *data)
{
	struct tp_module *tp_mod = data;

	pr_info("%s: %lu, %zu\\n", tp_mod->mod->name, what, sizeof(struct kvm_vcpu));
	return NOTIFY_OK;
}

static struct notifier_block probe_nb = { .notifier_call = probe_seen };

static int __init probe_init(void)
{
	return register_tracepoint_module_notifier(&probe_nb);
}
module_init(probe_init);

static void __exit probe_exit(void)
{
	unregister_tracepoint_module_notifier(&probe_nb);
}
module_exit(probe_exit);

MODULE_DESCRIPTION("Tries whether a module can be built here");
MODULE_LICENSE("GPL");
"""


def _numbers(text):
    return [int(number) for number in re.findall(r"\d+", text)]


def choose_release(archive, pattern):
    """The newest release matching `pattern` that has an image and headers."""
    names = set(archive.names(rf"linux-(image|headers)-{pattern}.*-{FLAVOUR}"))
    releases = [name.removeprefix("linux-image-") for name in names
                if name.startswith("linux-image-")
                and name.replace("-image-", "-headers-", 1) in names]
    if not releases:
        return None
    return max(releases, key=_numbers)


def packages_of(archive, release):
    """({package: version}, version of the kernel) to download for a release.

    A module fits a kernel only if headers and image were built together, so
    a part in the same version is preferred and insisted on for these two.
    """
    wanted = [f"linux-image-{release}", f"linux-headers-{release}"]
    version = archive.stanzas(wanted[0])[0]["Version"]
    chosen = {}
    while wanted:
        package = wanted.pop()
        stanzas = archive.stanzas(package)
        same = [fields for fields in stanzas if fields["Version"] == version]
        if not same and (not stanzas or package.endswith(release)):
            raise archive.missing(f"{package} {version}")
        fields = (same or stanzas)[0]
        chosen[package] = fields["Version"]
        for dependency in fields.get("Depends", "").split(","):
            name = dependency.split("|")[0].split()[:1]
            if name and _PARTS.match(name[0]) and name[0] not in chosen:
                wanted.append(name[0])
    return chosen, version


def _relocate_headers(kdir):
    """Let the headers' Makefile name its own tree instead of /usr/src."""
    makefile = kdir / "Makefile"
    here = "kernel_tree := $(realpath $(dir $(lastword $(MAKEFILE_LIST)))../../..)\n"
    makefile.write_text(here + makefile.read_text().replace("/usr/src/",
                                                           "$(kernel_tree)/usr/src/"))


def _only(tree, *patterns):
    for pattern in patterns:
        for path in tree.glob(pattern):
            return path
    raise KernelError(f"the kernel's packages hold no {patterns[0]}")


def prepare(tree, release):
    """Complete an unpacked kernel; return its paths relative to the tree."""
    modules = tree / "lib/modules" / release
    vmlinuz = _only(tree, f"boot/vmlinuz-{release}", f"lib/modules/{release}/vmlinuz")
    kdir = tree / "usr/src" / f"linux-headers-{release}"
    # They lead out of the tree, and whoever copies the modules follows them.
    for link in (modules / "build", modules / "source"):
        link.unlink(missing_ok=True)
    _relocate_headers(kdir)
    if not (modules / "modules.dep").exists():
        # Debian's users do not have it in their PATH.
        done = subprocess.run(["depmod", "-b", tree, release], text=True,
                              env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise KernelError(f"depmod for {release}: {done.stdout.strip()}")
    kvm, base = _prepare_btf(tree, modules, vmlinuz, kdir)
    found = {"vmlinuz": vmlinuz, "modules": modules, "kdir": kdir,
             "btf_kvm": kvm, "btf_base": base}
    return {key: str(path.relative_to(tree)) if path else None
            for key, path in found.items()}


def _plain(path):
    """The contents of a module, whatever it is compressed with."""
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", path], check=True,
                              stdout=subprocess.PIPE).stdout
    return path.read_bytes()


def _prepare_btf(tree, modules, vmlinuz, kdir):
    """Files with the types of kvm.ko and of the kernel that these extend."""
    contents = _plain(_only(modules, "kernel/arch/x86/kvm/kvm.ko*"))
    if b"\0.BTF\0" not in contents:
        return None, None
    kvm = tree / "btf/kvm.ko"
    kvm.parent.mkdir()
    kvm.write_bytes(contents)
    if (kdir / "vmlinux").exists():
        return kvm, kdir / "vmlinux"
    base = tree / "btf/vmlinux"
    return kvm, base if _extract_btf(vmlinuz, base) else None


def _extract_btf(vmlinuz, destination):
    """Write the raw BTF of a bzImage; False where a tool for it is missing."""
    image = vmlinuz.read_bytes()
    setup = (image[0x1f1] + 1) * 512
    offset = setup + int.from_bytes(image[0x248:0x24c], "little")
    length = int.from_bytes(image[0x24c:0x250], "little")
    payload = image[offset:offset + length]
    for magic, tool in ((b"\x02\x21\x4c\x18", "lz4"), (b"\x28\xb5\x2f\xfd", "zstd"),
                        (b"\xfd7zXZ\0", "xz"), (b"\x1f\x8b\x08", "gzip")):
        if payload.startswith(magic):
            break
    else:
        return False
    if not shutil.which(tool) or not shutil.which("objcopy"):
        return False
    if tool != "gzip":
        payload = payload[:-4]  # the kernel's build appends the length
    whole = destination.with_suffix(".elf")
    with whole.open("wb") as output:
        subprocess.run([tool, "-dc"], input=payload, stdout=output,
                       stderr=subprocess.DEVNULL)
    subprocess.run(["objcopy", f"--dump-section=.BTF={destination}", whole, whole],
                   stderr=subprocess.DEVNULL)
    whole.unlink()
    return destination.exists()


def try_build(kdir, root, directory):
    """Build a small module of the kind this is for; (worked, log)."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    (directory / "probe.c").write_text(_PROBE)
    (directory / "Makefile").write_text("obj-m := probe.o\n")
    try:
        done = kernels_root.run(["make", "-C", kdir, f"M={directory}", "modules"],
                                root, cwd=directory)
    except FileNotFoundError as error:
        return False, f"{error}\n"
    return done.returncode == 0 and (directory / "probe.ko").exists(), done.stdout


def compiler_variable(kdir):
    """The compiler's name in the headers' settings, such as gcc-12."""
    text = (kdir / ".kernelvariables").read_text()
    found = re.search(r"gcc(-\d+)?$", text, re.MULTILINE)
    if not found:
        raise KernelError(f"{kdir}/.kernelvariables names no compiler")
    return found.group()


def set_compiler(kdir, name):
    """Have the headers call `name`: no machine has every release's compiler."""
    path = kdir / ".kernelvariables"
    old = compiler_variable(kdir)
    path.write_text(re.sub(rf"{old}$", name, path.read_text(), flags=re.MULTILINE))


def built_by(directory):
    """The compiler's signature in what try_build made."""
    comment = pathlib.Path(directory, "probe.o").read_bytes()
    found = re.search(rb"GCC: \([^)]*\) [\d.]+", comment)
    return found.group().decode() if found else "unknown"
