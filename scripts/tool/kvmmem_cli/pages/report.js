// SPDX-License-Identifier: GPL-2.0
// Draws what the page holds as JSON; it asks nobody for anything.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const dates = data.times.map((time) => new Date(time * 1000));
const charts = [];
let detailCharts = [];

function element(parent, tag, text) {
	const made = document.createElement(tag);
	if (text !== undefined)
		made.textContent = text;
	parent.appendChild(made);
	return made;
}

function size(kb) {
	const units = ["K", "M", "G", "T", "P"];
	let at = 0;
	while (kb >= 1024 && at < units.length - 1) {
		kb /= 1024;
		at++;
	}
	return (kb >= 100 || !at ? kb.toFixed(0) : kb.toFixed(1)) + units[at];
}

function count(number) {
	const units = ["", "k", "M", "G"];
	let at = 0;
	while (number >= 1000 && at < units.length - 1) {
		number /= 1000;
		at++;
	}
	return number.toFixed(at ? 1 : number < 10 ? 1 : 0) + units[at];
}

const percent = (share) => (share * 100).toFixed(1) + "%";

// Events as vertical marks.
function marks(canvas, area, chart) {
	canvas.fillStyle = "rgba(120, 80, 0, .45)";
	for (const [time] of data.events) {
		const x = chart.toDomXCoord(time * 1000);
		if (x >= area.x && x <= area.x + area.w)
			canvas.fillRect(x, area.y, 1.5, area.h);
	}
}

// A chart of {name: values}.
function chart(parent, title, series, form, options) {
	const names = Object.keys(series);
	element(parent, "h3", title);
	if (!names.length) {
		element(parent, "p", "nothing was recorded, or all of it is 0").className = "hint";
		return null;
	}
	const place = element(parent, "div");
	place.className = "chart";
	const columns = names.map((name) => series[name]);
	// What VMs are called is theirs.
	const verbatim = options && options.clickCallback;
	const rows = dates.map((date, at) => [date].concat(columns.map((values) => values[at])));
	return new Dygraph(place, rows, Object.assign({
		labels: ["time"].concat(names.map((name) => verbatim ? name :
							  name.replace(/_/g, " "))),
		axes: { y: { valueFormatter: form, axisLabelFormatter: form, axisLabelWidth: 60 } },
		legend: "always", labelsKMB: false, includeZero: true, underlayCallback: marks,
	}, options));
}

// What a VM had at a time, most first.
function causes(detail, at) {
	const parts = [];
	for (const [group, words] of [["fault", "faults"], ["inval", "taken away by"],
				      ["flush", "flushes by"]]) {
		const there = Object.entries(detail[group] || {})
			.map(([name, values]) => [name.replace(/_/g, " "), values[at] || 0])
			.filter(([, value]) => value > 0)
			.sort((a, b) => b[1] - a[1]).slice(0, 4);
		if (there.length)
			parts.push(words + " " + there.map(([name, value]) =>
				name + " " + count(value) + "/s").join(", "));
	}
	return parts.join("; ") || "nothing more is known of that time";
}

function showVm(number, at) {
	const vm = data.vms[number];
	const detail = JSON.parse(document.getElementById("vm-" + number).textContent);
	const parent = document.getElementById("detail");
	document.getElementById("vm").value = number;
	detailCharts.forEach((one) => one.destroy());
	parent.replaceChildren();
	const stacked = { stackedGraph: true };
	const own = {};
	if (vm.lost)
		own["time lost"] = vm.lost;
	detailCharts = [
		Object.keys(own).length && chart(parent, "Time lost, share of its vCPUs' time", own,
						 percent),
		chart(parent, "EPT violations a second, by access", detail.fault, count, stacked),
		chart(parent, "Memory taken away, invalidations a second by initiator",
		      detail.inval, count, stacked),
		chart(parent, "TLB flushes a second, by cause", detail.flush, count, stacked),
		chart(parent, "Page sizes in the host", detail.host, size, stacked),
		chart(parent, "Page sizes in KVM's tables", detail.ept, size, stacked),
		chart(parent, "Memory", detail.memory, size),
	].filter(Boolean);
	let text = vm.label + " (" + vm.id + (vm.uuid ? ", " + vm.uuid : "") + ")";
	if (at !== undefined) {
		const values = [];
		if (vm.lost && vm.lost[at] !== null)
			values.push(percent(vm.lost[at]) + " of its time lost");
		if (vm.faults && vm.faults[at] !== null)
			values.push(count(vm.faults[at]) + " violations/s");
		text += " at " + dates[at].toLocaleString() + ": " + values.concat(
			causes(detail, at)).join("; ");
	}
	document.getElementById("causes").textContent = text;
}

// The VM whose line was clicked at, or the highest there.
function clicked(event, x, points) {
	const highest = points.filter((point) => !isNaN(point.yval) && point.yval !== null)
		.sort((a, b) => b.yval - a.yval)[0];
	if (!highest)
		return;
	const name = this.getHighlightSeries() || highest.name;
	const number = data.vms.findIndex((vm) => vm.label === name);
	if (number >= 0) {
		showVm(number, data.times.findIndex((time) => time * 1000 >= x - 1));
		document.getElementById("vm-title").scrollIntoView();
	}
}

function byVm(key) {
	const found = {};
	data.vms.forEach((vm) => {
		if (vm[key] && vm[key].some((value) => value))
			found[vm.label] = vm[key];
	});
	return found;
}

function overview() {
	const parent = document.getElementById("overview");
	const lines = { legend: "follow", clickCallback: clicked, highlightCircleSize: 3,
			highlightSeriesOpts: { strokeWidth: 2 } };
	// With many lines only the one that is pointed at is named.
	lines.legendFormatter = (legend) => legend.x === undefined ? "" :
		legend.xHTML + legend.series.filter((one) => one.isHighlighted && one.isVisible)
			.map((one) => " " + one.labelHTML + ": " + one.yHTML).join("");
	const stacked = { stackedGraph: true };
	for (const one of [
		chart(parent, "Time lost, share of each VM's vCPUs' time", byVm("lost"), percent, lines),
		chart(parent, "EPT violations a second, by VM", byVm("faults"), count, lines),
		chart(parent, "Memory taken away from all VMs, invalidations a second by initiator",
		      data.inval, count, stacked),
		chart(parent, "TLB flushes a second of all VMs, by cause", data.flush, count, stacked),
		chart(parent, "Memory of the host: guests above total is overcommitment",
		      Object.fromEntries(Object.entries(data.host).filter(([, values]) =>
			values.some((value) => value))), size),
	])
		if (one)
			charts.push(one);
	if (charts.length > 1)
		Dygraph.synchronize(charts, { range: false, selection: false });
}

function words() {
	document.getElementById("summary").textContent = data.vms.length + " VMs, " +
		data.readings + " readings, a point on a chart is " +
		Math.round((data.times[data.times.length - 1] - data.times[0]) /
			   Math.max(1, data.times.length - 1)) + " s";
	const findings = document.getElementById("findings");
	for (const [where, text, evidence, remedy] of data.findings) {
		const box = element(findings, "div");
		box.className = "finding";
		element(box, "b", where + ": ");
		element(box, "span", text);
		const list = element(box, "ul");
		evidence.forEach((line) => element(list, "li", line));
		element(box, "span", "What to do: " + remedy + ".");
	}
	const choice = document.getElementById("vm");
	data.vms.forEach((vm, number) => { element(choice, "option", vm.label).value = number; });
	choice.value = -1;
	choice.addEventListener("change", () => showVm(Number(choice.value)));
	const table = document.getElementById("events");
	for (const [time, , what] of data.events) {
		const row = element(table, "tr");
		element(row, "td", new Date(time * 1000).toLocaleString());
		element(row, "td", what);
	}
	if (!data.events.length)
		element(element(table, "tr"), "td", "none");
}

words();
overview();
document.body.dataset.ready = Math.round(performance.now());
