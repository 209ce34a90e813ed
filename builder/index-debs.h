/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "builder/index.h"

/* Indices of .deb files that have no index: for builder/index.c only. */

/* All *.deb in the source's directory, not below. */
gboolean ash_index_open_directory(const AshSource *source, const char *dir, GPtrArray *indices,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

gboolean ash_index_add_debs(const AshSource *source, const char *dir, GPtrArray *take_paths,
		GPtrArray *indices, GError **error) G_GNUC_WARN_UNUSED_RESULT;

gboolean ash_index_read_debs(const AshIndex *index, AshDeb822Callback callback, gpointer closure,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
