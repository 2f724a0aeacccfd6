"""A Debian kernel without KVM: qemu boots it on this machine's own files, read-only, with a tmpfs on top.

Needs qemu-system-x86, busybox-static and the kernel's package: CLATVISOR_KERNEL_DEB, or apt's archive, or apt-get download.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

MODULES = (
    *("9p", "9pnet_virtio", "virtio_pci", "overlay"),  # to see this machine's files
    *("tun", "veth", "sch_ingress", "cls_bpf", "8021q"),
    *("crc32c_generic", "nf_tables", "nft_chain_nat", "nft_masq", "nft_nat", "nft_ct", "nf_flow_table_inet", "nft_flow_offload",
      "nf_conntrack_netlink"),
    *("ifb", "sch_cake", "cls_u32", "cls_matchall", "cls_flower", "cls_basic", "act_mirred", "act_ctinfo"),
)
MARK = "clatvisor-guest-exit:"

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /host /rw /new
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules/order); do /bin/busybox insmod /modules/$module || echo "no $module"; done
/bin/busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 host /host
/bin/busybox mount -t tmpfs tmpfs /rw
/bin/busybox mkdir /rw/upper /rw/work
/bin/busybox mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work overlay /new
cd /new
for kind in proc:proc sysfs:sys devtmpfs:dev tmpfs:run bpf:sys/fs/bpf tmpfs:dev/shm devpts:dev/pts; do
  /bin/busybox mkdir -p ${kind#*:}
  /bin/busybox mount -t ${kind%:*} none ${kind#*:}
done
/bin/busybox cp /job /new/job
/bin/busybox ip link set lo up
""".replace("@MARK@", MARK)

# Then either the job alone, or systemd, which runs it as a unit.
ALONE = """/bin/busybox chroot /new /bin/bash /job
echo "@MARK@ $?"
/bin/busybox poweroff -f
""".replace("@MARK@", MARK)

SYSTEMD = """/bin/busybox cat > /new/etc/systemd/system/job.service <<'END'
[Unit]
AllowIsolate=yes
[Service]
Type=oneshot
ExecStart=/bin/bash -c '/bin/bash /job; echo "@MARK@ $$?"'
StandardOutput=file:/dev/ttyS0
StandardError=inherit
ExecStopPost=/bin/systemctl poweroff --force --force
END
/bin/busybox rm -f /new/.dockerenv  # this machine may be a container; the guest is none
exec /bin/busybox switch_root /new /lib/systemd/systemd --unit=job.service
""".replace("@MARK@", MARK)


def kernel(cache: pathlib.Path) -> pathlib.Path:
    """The unpacked package of Debian's kernel."""
    folder = cache / "kernel"
    if folder.exists():
        return folder
    deb = os.environ.get("CLATVISOR_KERNEL_DEB")
    if deb is None:
        depends = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], check=True, capture_output=True, text=True)
        name = re.search(r"Depends: (linux-image-\S+)", depends.stdout)[1]
        # apt-get download does not look into apt's own archive, where an install with --download-only leaves packages.
        archive = subprocess.run(["apt-config", "shell", "_", "Dir::Cache::archives/d"], check=True, capture_output=True,
                                 text=True)
        kept = pathlib.Path(*re.findall(r"'(.*)'", archive.stdout))
        deb = next(kept.glob(f"{name}_*.deb"), None)
        if deb is None:
            subprocess.run(["apt-get", "-q", "download", name], check=True, cwd=cache)
            deb = next(cache.glob(f"{name}_*.deb"))
    part = cache / "kernel.part"
    shutil.rmtree(part, ignore_errors=True)
    subprocess.run(["dpkg", "-x", deb, part], check=True)
    part.rename(folder)
    return folder


def with_dependencies(root: pathlib.Path, names) -> list[pathlib.Path]:
    """Module files in the order of loading; what is built in has none."""
    files = {path.stem.replace("-", "_"): path for path in root.rglob("*.ko")}
    order: list[pathlib.Path] = []

    def add(name: str) -> None:
        path = files.get(name.replace("-", "_"))
        if path is None or path in order:
            return
        found = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
        for other in (found[1].decode().split(",") if found and found[1] else []):
            add(other)
        order.append(path)

    for name in names:
        add(name)
    return order


def cpio(entries) -> bytes:
    """The newc format: (name, mode, content)."""
    out = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + path
        out += b"\0" * (-len(out) % 4) + content
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def run(cache: pathlib.Path, script: str, seconds: int, *, systemd: bool = False) -> int:
    """Runs a bash script as root in the guest, its output on ours; with `systemd`, that is process 1 there. The script's exit
    code; 125 when the guest did not finish."""
    unpacked = kernel(cache)
    modules = with_dependencies(unpacked, MODULES)
    entries = [("bin", 0o40755, b""), ("dev", 0o40755, b""), ("modules", 0o40755, b""),
               ("bin/busybox", 0o100755, pathlib.Path(shutil.which("busybox")).read_bytes()),
               ("init", 0o100755, (INIT + (SYSTEMD if systemd else ALONE)).encode()), ("job", 0o100755, script.encode()),
               ("modules/order", 0o100644, "\n".join(path.name for path in modules).encode())]
    entries += [(f"modules/{path.name}", 0o100644, path.read_bytes()) for path in modules]
    initramfs = cache / ("systemd.cpio" if systemd else "initramfs.cpio")
    initramfs.write_bytes(cpio(entries))
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048",
               "-nographic", "-no-reboot", "-nic", "none", "-kernel", str(next(unpacked.glob("boot/vmlinuz-*"))),
               "-initrd", str(initramfs), "-append", "console=ttyS0 loglevel=1 panic=-1 systemd.show_status=no",
               "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"]
    code = 125
    with subprocess.Popen(["timeout", str(seconds), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, errors="replace") as guest:
        for line in guest.stdout:
            line = line.rstrip("\r\n")
            if line.startswith(MARK):
                code = int(line[len(MARK):])
            else:
                print(line, flush=True)
    return code


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    sys.exit(run(folder, shlex.join(sys.argv[2:]), 1500))
