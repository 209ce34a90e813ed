// SPDX-License-Identifier: Apache-2.0
// Before anything is painted: the theme that was chosen here, if one was.
"use strict";
try {
	const theme = localStorage.getItem("theme");
	if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
	// Without storage the system's own choice is followed.
}
