/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kvmmem's own trace events: what perf, trace-cmd and bpftrace record, see
 * Documentation/perf.rst.
 *
 * Words and not numbers, so that no reader needs a table of ours; "-" is what is not
 * known. No field is an address of the host.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvmmem

#if !defined(_KVMMEM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KVMMEM_TRACE_H

#include <linux/string.h>
#include <linux/tracepoint.h>

#include "registry/observed.h"
#include "registry/total.h"

TRACE_EVENT_FN(ept_violation,
	       TP_PROTO(const struct kvmmem_vcpu *rec, const struct kvmmem_seen *seen),
	       TP_ARGS(rec, seen),
	       TP_STRUCT__entry(__field(u64, gpa)
				__field(s64, ns)
				__field(int, pid)
				__field(int, fd)
				__field(u32, vcpu)
				__array(char, access, 8)
				__array(char, cause, 12)
				__array(char, outcome, 12)
				__array(char, page, 4)
				__field(u8, walk)
				__field(u8, l2)),
	       TP_fast_assign(__entry->gpa = seen->gpa;
			      __entry->ns = seen->ns;
			      __entry->pid = rec->vm->id_pid;
			      __entry->fd = rec->vm->fd;
			      __entry->vcpu = rec->id;
			      strscpy_pad(__entry->access, seen->access, sizeof(__entry->access));
			      strscpy_pad(__entry->cause, seen->cause, sizeof(__entry->cause));
			      strscpy_pad(__entry->outcome, seen->outcome,
					  sizeof(__entry->outcome));
			      strscpy_pad(__entry->page, seen->page, sizeof(__entry->page));
			      __entry->walk = seen->walk;
			      __entry->l2 = seen->l2;),
	       TP_printk("vm=%d-%d vcpu=%u gpa=0x%llx access=%s cause=%s walk=%u l2=%u outcome=%s page=%s ns=%lld",
			 __entry->pid, __entry->fd, __entry->vcpu, __entry->gpa,
			 __entry->access, __entry->cause, __entry->walk, __entry->l2,
			 __entry->outcome, __entry->page, __entry->ns),
	       kvmmem_observe, kvmmem_unobserve);

TRACE_EVENT_FN(tlb_flush,
	       TP_PROTO(const struct kvmmem_vcpu *rec, const char *cause, u64 count),
	       TP_ARGS(rec, cause, count),
	       TP_STRUCT__entry(__field(u64, count)
				__field(int, pid)
				__field(int, fd)
				__field(u32, vcpu)
				__field(int, tag)
				__array(char, cause, 8)),
	       TP_fast_assign(__entry->count = count;
			      __entry->pid = rec->vm->id_pid;
			      __entry->fd = rec->vm->fd;
			      __entry->vcpu = rec->id;
			      __entry->tag = rec->now->tag;
			      strscpy_pad(__entry->cause, cause, sizeof(__entry->cause));),
	       TP_printk("vm=%d-%d vcpu=%u tag=%d cause=%s count=%llu", __entry->pid, __entry->fd,
			 __entry->vcpu, __entry->tag, __entry->cause, __entry->count),
	       kvmmem_trace_allowed, NULL);

TRACE_EVENT_FN(invalidate,
	       TP_PROTO(const struct kvmmem_vm *vm, const char *initiator, u64 start, u64 size),
	       TP_ARGS(vm, initiator, start, size),
	       TP_STRUCT__entry(__field(u64, start)
				__field(u64, size)
				__field(int, pid)
				__field(int, fd)
				__array(char, initiator, 12)),
	       TP_fast_assign(__entry->start = start;
			      __entry->size = size;
			      __entry->pid = vm->id_pid;
			      __entry->fd = vm->fd;
			      strscpy_pad(__entry->initiator, initiator,
					  sizeof(__entry->initiator));),
	       TP_printk("vm=%d-%d initiator=%s start=0x%llx size=%llu", __entry->pid, __entry->fd,
			 __entry->initiator, __entry->start, __entry->size),
	       kvmmem_observe, kvmmem_unobserve);

/* Whose it is cannot be told of what another process's thread does: then @vm is NULL. */
DECLARE_EVENT_CLASS(kvmmem_huge,
		    TP_PROTO(const struct kvmmem_vm *vm, u64 gpa, const char *page,
			     const char *cause),
		    TP_ARGS(vm, gpa, page, cause),
		    TP_STRUCT__entry(__field(u64, gpa)
				     __field(int, pid)
				     __field(int, fd)
				     __array(char, page, 4)
				     __array(char, cause, 12)),
		    TP_fast_assign(__entry->gpa = gpa;
				   __entry->pid = vm ? vm->id_pid : -1;
				   __entry->fd = vm ? vm->fd : -1;
				   strscpy_pad(__entry->page, page, sizeof(__entry->page));
				   strscpy_pad(__entry->cause, cause, sizeof(__entry->cause));),
		    TP_printk("vm=%d-%d gpa=0x%llx page=%s cause=%s", __entry->pid, __entry->fd,
			      __entry->gpa, __entry->page, __entry->cause));

DEFINE_EVENT_FN(kvmmem_huge, huge_split,
		TP_PROTO(const struct kvmmem_vm *vm, u64 gpa, const char *page, const char *cause),
		TP_ARGS(vm, gpa, page, cause),
		kvmmem_trace_allowed, NULL);

DEFINE_EVENT_FN(kvmmem_huge, huge_recovered,
		TP_PROTO(const struct kvmmem_vm *vm, u64 gpa, const char *page, const char *cause),
		TP_ARGS(vm, gpa, page, cause),
		kvmmem_trace_allowed, NULL);

TRACE_EVENT_FN(vcpu_stuck,
	       TP_PROTO(const struct kvmmem_vcpu *rec, u64 gpa, u64 repeats, u64 since_ms),
	       TP_ARGS(rec, gpa, repeats, since_ms),
	       TP_STRUCT__entry(__field(u64, gpa)
				__field(u64, repeats)
				__field(u64, since_ms)
				__field(int, pid)
				__field(int, fd)
				__field(u32, vcpu)),
	       TP_fast_assign(__entry->gpa = gpa;
			      __entry->repeats = repeats;
			      __entry->since_ms = since_ms;
			      __entry->pid = rec->vm->id_pid;
			      __entry->fd = rec->vm->fd;
			      __entry->vcpu = rec->id;),
	       TP_printk("vm=%d-%d vcpu=%u gpa=0x%llx repeats=%llu since_ms=%llu", __entry->pid,
			 __entry->fd, __entry->vcpu, __entry->gpa, __entry->repeats,
			 __entry->since_ms),
	       kvmmem_stuck_wanted, kvmmem_stuck_unwanted);

TRACE_EVENT_FN(vm_begin,
	       TP_PROTO(const struct kvmmem_vm *vm),
	       TP_ARGS(vm),
	       TP_STRUCT__entry(__field(int, pid)
				__field(int, fd)
				__array(char, comm, TASK_COMM_LEN)),
	       TP_fast_assign(__entry->pid = vm->id_pid;
			      __entry->fd = vm->fd;
			      strscpy_pad(__entry->comm, vm->comm, sizeof(__entry->comm));),
	       TP_printk("vm=%d-%d comm=%s", __entry->pid, __entry->fd, __entry->comm),
	       kvmmem_trace_allowed, NULL);

TRACE_EVENT_FN(vm_end,
	       TP_PROTO(const struct kvmmem_vm *vm, const struct kvmmem_total *total, u64 flushes,
			u64 ns),
	       TP_ARGS(vm, total, flushes, ns),
	       TP_STRUCT__entry(__field(int, pid)
				__field(int, fd)
				__array(char, comm, TASK_COMM_LEN)
				__field(u64, lived_ns)
				__field(u64, vcpus)
				__field(u64, ept_violations)
				__field(u64, mmio)
				__field(u64, shadow)
				__field(u64, flushes)
				__field(u64, served)
				__field(u64, ns)),
	       TP_fast_assign(__entry->pid = vm->id_pid;
			      __entry->fd = vm->fd;
			      strscpy_pad(__entry->comm, vm->last_comm, sizeof(__entry->comm));
			      __entry->lived_ns = vm->ended - vm->born;
			      __entry->vcpus = total->vcpus_ended;
			      __entry->ept_violations = total->faults.violations;
			      __entry->mmio = total->faults.mmio;
			      __entry->shadow = total->faults.shadow;
			      __entry->flushes = flushes;
			      __entry->served = total->served;
			      __entry->ns = ns;),
	       TP_printk("vm=%d-%d comm=%s lived_ns=%llu vcpus=%llu ept_violations=%lld mmio=%lld shadow=%lld flushes=%lld served=%lld ns=%lld",
			 __entry->pid, __entry->fd, __entry->comm, __entry->lived_ns,
			 __entry->vcpus, __entry->ept_violations, __entry->mmio, __entry->shadow,
			 __entry->flushes, __entry->served, __entry->ns),
	       kvmmem_trace_allowed, NULL);

#endif /* _KVMMEM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH registry
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
