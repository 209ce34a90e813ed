// SPDX-License-Identifier: Apache-2.0
// Icons, drawn on 16 by 16, in the colour of the text around them. The wall is the sign of the house.
import { html } from "./base.mjs";

const PATHS = {
	overview: "M2 13.500h12M2.500 11V8.500h3V11zM6.500 11V4.500h3V11zM10.500 11V6.500h3V11z",
	hosts: "M2 3h12v4H2zM2 9h12v4H2zM4.500 5h.01M4.500 11h.01M7 5h4.500M7 11h4.500",
	rollouts: "M2 11h5v3H2zM9 11h5v3H9zM5.500 6.500h5v3h-5zM8 1.500v3M6.300 3 8 1.300 9.700 3",
	releases: "M8 1.500 14 4.700v6.600L8 14.500 2 11.300V4.700zM2.200 4.800 8 8l5.800-3.200M8 8v6.300",
	channels: "M2 4h12M2 8h12M2 12h12M5 2.500v3M11 6.500v3M7 10.500v3",
	joining: "M8 2v12M2 8h12",
	locks: "M3.500 7h9v6.500h-9zM5.500 7V5a2.500 2.500 0 0 1 5 0v2",
	access: "M8 8a2.800 2.800 0 1 0 0-5.600A2.800 2.800 0 0 0 8 8zM2.500 14c.6-3 2.700-4.300 5.500-4.300s4.900 1.300 5.500 4.300",
	devices: "M4.500 1.500h7v13h-7zM7 12.500h2M6.500 4h3",
	workloads: "M2 2h5v5H2zM9 2h5v5H9zM2 9h5v5H2zM9 9h5v5H9z",
	key: "M6 10a3.200 3.200 0 1 0 0-6.400A3.200 3.200 0 0 0 6 10zM8.500 9l5 5M11.500 12l1.500-1.500",
	activity: "M1.500 8h3l2-5 3 10 2-5h3",
	audit: "M4 1.500h6l3 3v10H4zM10 1.500v3h3M6 8h5M6 10.500h5",
	search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.700 10.700 14 14",
	menu: "M2 4h12M2 8h12M2 12h12",
	close: "M3.500 3.500l9 9M12.500 3.500l-9 9",
	sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
	moon: "M13.500 9.500A5.800 5.800 0 0 1 6.500 2.500a5.800 5.800 0 1 0 7 7z",
	auto: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
	help: "M5.800 6A2.300 2.300 0 1 1 8 8.500v1.300M8 12.500h.01",
	exit: "M6 2H2.500v12H6M10 5l3.500 3-3.500 3M13 8H6",
	copy: "M5.500 5.500h8v8h-8zM3 10.500h-.500v-8h8V3",
	check: "M3 8.500 6.500 12 13 4.500",
	cross: "M4 4l8 8M12 4l-8 8",
	alert: "M8 2 15 14H1zM8 6.500v3.500M8 12h.01",
	arrow: "M3 8h10M9 4l4 4-4 4",
	down: "M4 6l4 4 4-4",
	columns: "M2 3h12v10H2zM6 3v10M10 3v10",
	dots: "M3.500 8h.01M8 8h.01M12.500 8h.01",
};

export const Icon = ({ name }) =>
	html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;

export const Mark = () => html`<svg class="mark" viewBox="0 0 32 26" aria-hidden="true" focusable="false">
	<g class="mark-stone"><rect x="0" y="18.500" width="17" height="7.500" rx="1" /><rect x="19" y="18.500" width="13" height="7.500" rx="1" />
	<rect x="0" y="9.250" width="9" height="7.500" rx="1" /><rect x="11" y="9.250" width="21" height="7.500" rx="1" /></g>
	<rect class="mark-key" x="6" y="0" width="17" height="7.500" rx="1" /></svg>`;
