# SPDX-License-Identifier: GPL-2.0
# Helpers of the measurements, inside the emulated host. What is measured is
# appended to /tmp/cells, so that no tool's own output gets in between.

# measure TOOL [VCPUS...]: run guests of two sizes, one for violations, one for
# plain I/O exits; and guests with so many vCPUs. Each one twice, since a sleep
# until the next tick may come in between. The smaller one is longer than a
# tick, so that what follows a VM's birth (kvmmem's worker) is in both.
measure() {
	local tool=$1 n vcpus
	shift
	for n in 1500 5500 1500 5500; do
		_cell "$tool" violation $n --prefault --pages $n
	done
	for n in 4000 12000 4000 12000; do
		_cell "$tool" io $n --pages 8 --op io --ops $n
	done
	for vcpus; do
		for n in 1536 5536 1536 5536; do
			_cell "$tool" "violation_x$vcpus" $n --prefault --pages $n --vcpus "$vcpus"
		done
	done
}

_cell() {
	local tool=$1 kind=$2 n=$3
	shift 3
	echo "cell tool=$tool kind=$kind n=$n $(kvmguest "$@" | grep -o 'run_ns=[0-9]*')" \
		>>/tmp/cells
}

# start_vms VMS VCPUS: that many VMs whose vCPUs have run, until stop_vms.
start_vms() {
	local left=$1 vcpus=$2 n
	mkfifo /tmp/hold
	_guests=
	while [ "$left" -gt 0 ]; do
		n=$((left < 64 ? left : 64))
		kvmguest --vms $n --vcpus "$vcpus" --pages 8 --hold /tmp/hold >/tmp/held.$left &
		_guests="$_guests $!"
		left=$((left - n))
	done
	n=0
	# A file each: what several append to one may be torn.
	while [ "$(cat /tmp/held.* | grep -c '^result')" -lt "$1" ]; do
		n=$((n + 1))
		[ $n -lt 3000 ] || fail "the VMs do not come up"
		sleep 0.1
	done
	sleep 1
}

stop_vms() {
	# shellcheck disable=SC2086	# several words
	kill $_guests
	wait || true
	rm /tmp/hold /tmp/held.*
}

# The values of /proc/kvmmem that KVM's debugfs has too, a file each.
kvm_files() {
	for dir in /sys/kernel/debug/kvm/*-*; do
		for name in pf_taken tlb_flush invlpg remote_tlb_flush \
			remote_tlb_flush_requests pages_4k pages_2m pages_1g; do
			echo "$dir/$name"
		done
	done
}

# slab_kb: slab memory in use, the caches shrunk.
slab_kb() {
	for file in /sys/kernel/slab/*/shrink; do
		echo 1 >"$file"
	done 2>/dev/null
	awk '/^(Slab|Percpu|VmallocUsed):/ { sum += $2 } END { print sum }' /proc/meminfo
}

# vfs_kb: of that, inodes and names of files.
vfs_kb() {
	awk '/^(dentry|inode_cache|lsm_inode_cache) / { sum += $2 * $4 }
	     END { printf "%d\n", sum / 1024 }' /proc/slabinfo
}

# reading VMS VCPUS: what a read costs, with that many VMs.
reading() {
	local what="vms=$1 vcpus=$2" before vfs_before
	start_vms "$1" "$2"
	before=$(slab_kb)
	vfs_before=$(vfs_kb)
	load_kvmmem backing_max_age_ms=3600000	# no walk is due in a read
	section "registry $1 $2" cat /sys/kernel/debug/kvmmem/registry
	sleep 1
	echo "memory $what kb=$(($(slab_kb) - before)) vfs_kb=$(($(vfs_kb) - vfs_before))"
	# One that was there before has no tags until it runs: new ones, as usual.
	stop_vms
	start_vms "$1" "$2"
	echo "read file=/proc/kvmmem $what $(readcost 3 /proc/kvmmem)"
	section "proc $1 $2" grep -E '^host +(vms|lost)|^# ' /proc/kvmmem
	echo "rows $what fault=$(grep -c ^fault /proc/kvmmem) vpid=$(grep -c ^vpid /proc/kvmmem)"
	echo "read file=debugfs $what $(readcost 1 $(kvm_files))"
	if [ -f /bench/kvm_stat ] && [ "$1" -le 16 ]; then
		echo "read file=kvm_stat $what $(python3 /bench/kvm_stat_cost.py)"
	fi
	stop_vms
	unload_kvmmem
}

# walking PAGES: the backing walk against smaps, on one guest of so many pages.
walking() {
	local age=/sys/module/kvmmem/parameters/backing_max_age_ms
	load_kvmmem backing_max_age_ms=3600000
	mkfifo /tmp/hold
	kvmguest --pages "$1" --hold /tmp/hold >/tmp/held &
	while ! grep -q ^result /tmp/held; do sleep 0.1; done
	echo "walk pages=$1 file=kvmmem,no_walk_due $(readcost 2 /proc/kvmmem)"
	echo 0 >$age
	for file in /proc/kvmmem /proc/$!/smaps /proc/$!/smaps_rollup; do
		echo "walk pages=$1 file=${file##*/} $(readcost 2 "$file")"
	done
	echo >/tmp/hold
	wait
	rm /tmp/hold
	unload_kvmmem
}
