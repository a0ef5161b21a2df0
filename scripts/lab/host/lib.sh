# SPDX-License-Identifier: GPL-2.0
# Helpers for scripts that run inside an emulated host. Each function without
# a leading underscore is also a command, so it works in sh -c.

_tracing=/sys/kernel/tracing
[ -d $_tracing/events ] || _tracing=/sys/kernel/debug/tracing
_thp=/sys/kernel/mm/transparent_hugepage

# A line for host.py.
mark() {
	printf '\n@@lab %s\n' "$*"
}

fail() {
	echo "$*" >&2
	exit 1
}

# section NAME CMD...: what CMD prints becomes out["NAME"]. Sections nest.
section() {
	local name=$1 status=0 file
	_sections=$((_sections + 1))
	file=/tmp/.section.$$.$_sections
	shift
	"$@" >"$file" 2>&1 || status=$?
	# In a child: a write by this shell would fail when a process that it has started
	# ends meanwhile (EINTR).
	(
		mark "section $name"
		cat "$file"
		mark "endsection $name $status"
	)
	return $status
}
_sections=0

# _insmod MODULE [PARAM=VALUE]...: unless it is loaded.
_insmod() {
	[ -d /sys/module/"$(echo "$1" | tr - _)" ] && return
	local name=$1
	shift
	insmod /lab/modules/"$name".ko "$@"
}

# insert MODULE [PARAM=VALUE]...: one that the image has, dependencies first.
insert() {
	local name=$1 module
	shift
	for module in $(cat /lab/modules/"$name".order); do
		if [ "$module" = "$name" ]; then
			_insmod "$module" "$@"
		else
			_insmod "$module"
		fi || return 1
	done
}

# kvm_vendor: kvm-amd or kvm-intel, whichever the image has.
kvm_vendor() {
	basename /lab/modules/kvm-*.order .order
}

# load_kvm [[kvm.]PARAM=VALUE]...: KVM for this processor; parameters that
# begin with "kvm." are those of kvm.ko, the others the vendor module's. What
# is loaded with the same parameters stays, since kvm.ko takes long to load.
load_kvm() {
	local param module core='' vendor='' loaded=''
	# Part of the kernel, and as it was started.
	if ! grep -q . /lab/modules/"$(kvm_vendor)".order; then
		[ $# = 0 ]
		return
	fi
	[ ! -d /sys/module/kvm ] || read -r loaded </lab/kvm.loaded || :
	[ "$loaded" != "with $*" ] || return 0
	echo >/lab/kvm.loaded
	loaded=$(kvm_vendor | tr - _)
	for param in "$@"; do
		case $param in
		kvm.*) core="$core ${param#kvm.}" ;;
		*) vendor="$vendor $param" ;;
		esac
	done
	if [ -d /sys/module/kvm ] && [ "$(cat /lab/kvm.params)" != "$core" ]; then
		unload_kvm || return 1
	elif [ -d /sys/module/"$loaded" ] &&
	     [ "$(cat /lab/"$loaded".params)" != "$vendor" ]; then
		rmmod "$loaded" || return 1
	fi
	# shellcheck disable=SC2086	# parameters are words
	for module in $(cat /lab/modules/"$(kvm_vendor)".order); do
		case $module in
		kvm) _insmod kvm $core ;;
		kvm-*) _insmod "$module" $vendor ;;
		*) _insmod "$module" ;;
		esac || return 1
	done
	echo "$core" >/lab/kvm.params
	echo "$vendor" >/lab/"$loaded".params
	echo "with $*" >/lab/kvm.loaded
}

# load_kvm_shadow: with shadow paging instead of EPT or NPT.
load_kvm_shadow() {
	case $(kvm_vendor) in
	kvm-amd) load_kvm npt=0 ;;
	*) load_kvm ept=0 ;;
	esac
}

unload_kvm() {
	local module
	_drop_triggers
	for module in kvm_amd kvm_intel kvm; do
		[ ! -d /sys/module/$module ] || rmmod $module || return 1
	done
}

load_kvmmem() {
	insmod /lab/kvmmem.ko "$@" && echo "with $*" >/lab/kvmmem.params
}

# keep_kvmmem [PARAM=VALUE]...: what the scenario before this one has left loaded with
# the same parameters, since loading it takes longer than many a scenario.
keep_kvmmem() {
	if [ -d /sys/module/kvmmem ]; then
		[ "$(cat /lab/kvmmem.params)" != "with $*" ] || return 0
		unload_kvmmem || return 1
	fi
	load_kvmmem "$@"
}

unload_kvmmem() {
	rmmod kvmmem && echo >/lab/kvmmem.params
}

# kvmstat ID FIELD...: from KVM's own debugfs; "-" if this KVM has no such field.
kvmstat() {
	local id=$1 field value
	shift
	for field in "$@"; do
		value=-
		[ ! -e /sys/kernel/debug/kvm/"$id"/"$field" ] ||
			read -r value </sys/kernel/debug/kvm/"$id"/"$field"
		echo "$field=$value"
	done
}

# trace_count_start GROUP:EVENT [KEYS [FILTER]]: count an event exactly, by thread
# or by other fields of it (KEYS, with commas), in a histogram of the kernel's.
# A kernel without histograms records the events; they are counted at the end.
trace_count_start() {
	local event keys=${2:-common_pid}
	event=$_tracing/events/$(echo "$1" | tr : /)
	[ -d "$event" ] || fail "no event $1"
	if [ -f "$event"/hist ]; then
		echo "hist:keys=$keys:size=4096${3:+ if $3}" >"$event"/trigger
		return
	fi
	echo "$keys" >/tmp/.trace_keys
	echo 20000 >$_tracing/buffer_size_kb
	echo >$_tracing/trace
	echo "${3:-0}" >"$event"/filter
	echo 1 >"$event"/enable
}

# trace_count_stop GROUP:EVENT: the counts, "trace KEY=VALUE... count=N" lines.
trace_count_stop() {
	local event
	event=$_tracing/events/$(echo "$1" | tr : /)
	if ! [ -f "$event"/hist ]; then
		echo 0 >"$event"/enable
		_count_recorded "${1#*:}"
		return
	fi
	awk '
	/^[{]/ {
		sub(/^[{] */, ""); sub(/ *[}] *hitcount:/, ", count:")
		gsub(/: */, "="); gsub(/ *, */, " "); print "trace", $0
	}
	/^ *Dropped:/ { dropped = $2 }
	END { print "trace_dropped", dropped + 0; exit dropped > 0 }
	' "$event"/hist || fail "events were dropped"
	echo "!$(sed -n 's/ \[.*//; /^hist:/p' "$event"/trigger)" >"$event"/trigger
}

# _count_recorded EVENT: a field's number is the word after its name, in hex.
_count_recorded() {
	local lost
	lost=$(cat $_tracing/per_cpu/cpu*/stats |
		awk '/^(overrun|dropped events|commit overrun):/ { n += $NF } END { print n + 0 }')
	awk -v keys="$(cat /tmp/.trace_keys)" -v event=" $1: " -v lost="$lost" '
	function decimal(word, n, i) {
		word = tolower(word); sub(/^0x/, "", word)
		for (i = 1; i <= length(word); i++)
			n = n * 16 + index("0123456789abcdef", substr(word, i, 1)) - 1
		return sprintf("%.0f", n)
	}
	BEGIN { count = split(keys, key, ",") }
	index($0, event) {
		row = ""
		for (i = 1; i <= count; i++)
			if (key[i] == "common_pid") {
				match($0, /-[0-9]+ /)
				row = row " common_pid=" substr($0, RSTART + 1, RLENGTH - 2)
			} else {
				for (j = 1; $j != key[i] && j < NF; j++);
				row = row " " key[i] "=" decimal($(j + 1))
			}
		seen[row]++
	}
	END {
		for (row in seen) print "trace" row " count=" seen[row]
		print "trace_dropped", lost
		exit lost > 0
	}' $_tracing/trace || fail "events were dropped"
	echo >$_tracing/trace
	echo 1 >$_tracing/buffer_size_kb
}

# A trigger left on an event of a module that goes upsets the kernel.
_drop_triggers() {
	local file line
	[ -d $_tracing/events/kvm ] || return 0
	# Under lockdown some kernels log each file that cannot be read.
	cat $_tracing/current_tracer >/dev/null || return 0
	for file in $(grep -ls '^[^#]' $_tracing/events/kvm*/*/trigger); do
		grep -v '^#' "$file" | sed 's/ \[.*//' | while read -r line; do
			echo "!$line" >"$file"
		done
	done
}

# Nothing in the host may move, merge or collapse pages behind a scenario's back.
host_quiet() {
	_set 0 /proc/sys/vm/compaction_proactiveness
	_set 3 /proc/sys/vm/drop_caches
	_set 0 /proc/sys/vm/nr_hugepages
	_set always $_thp/enabled
	_set madvise $_thp/defrag
	_set never $_thp/shmem_enabled
	_set 1 $_thp/use_zero_page
	_set 600000 $_thp/khugepaged/scan_sleep_millisecs
	_set 2 /sys/kernel/mm/ksm/run
}

# wait_for CMD...: until it succeeds, for at most 30 seconds.
wait_for() {
	local tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || fail "waited in vain for: $*"
		sleep 0.05
	done
}

# _set VALUE FILE: if this kernel has it.
_set() {
	[ ! -e "$2" ] || echo "$1" >"$2"
}

# host_reset [keep]: back to how a scenario finds the host: nothing runs, kvmmem is
# not loaded (see keep_kvmmem), KVM may be (loading it takes longest of all, see
# load_kvm). What does not let go is an error.
host_reset() {
	local tries=0
	kill -9 -1
	echo 0 >$_tracing/events/enable
	_drop_triggers
	while [ "$1" != keep ] && [ -d /sys/module/kvmmem ] && ! unload_kvmmem; do
		tries=$((tries + 1))
		[ $tries -lt 20 ] || break
		sleep 0.1
	done
	[ $tries -lt 20 ] || mark stuck kvmmem
	for module in kvm_amd kvm_intel; do
		tries=0
		while [ -e /sys/module/$module/refcnt ] &&
		      [ "$(cat /sys/module/$module/refcnt)" != 0 ]; do
			tries=$((tries + 1))
			[ $tries -lt 20 ] || break
			sleep 0.1
		done
		[ $tries -lt 20 ] || mark stuck $module
	done
	echo nop >$_tracing/current_tracer
	echo >$_tracing/trace
	swapoff -a
	host_quiet
	rm -rf /tmp/*
} 2>/dev/null

# On a kernel with kmemleak: two scans, since it spares what is young, and what has
# changed since the first. Says "looked" if it has.
find_leaks() {
	[ -f /sys/kernel/debug/kmemleak ] || return 0
	for scan in 1 2; do
		sleep 6
		echo scan >/sys/kernel/debug/kmemleak || return
	done
	cat /sys/kernel/debug/kmemleak
	echo looked
}
