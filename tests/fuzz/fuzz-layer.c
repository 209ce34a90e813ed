/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "agent/workload/layer.h"
#include "tests/lib/image-memory.h"

enum {
	MAX_BYTES = 1 << 20,
};

/* A layer, unpacked into memory and laid on itself: first as the lowest, then onto what that gave. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
	const uint8_t *data;
	size_t size;
} Input;

static gboolean supply(gpointer data, const void **out_data, size_t *out_size, GError **error)
{
	Input *input = data;

	*out_data = input->data;
	*out_size = input->size;
	input->size = 0;
	return TRUE;
}

static bool apply(ImageMemory *memory, AshImageTree *image, const char *tree, const char *meta)
{
	g_autoptr(AshImageTree) layer = ash_image_tree_new(tree, meta);

	return ash_image_tree_apply(image, layer, &memory->store, NULL);
}

static void check_layer(ImageMemory *memory, AshImageTree *layer)
{
	g_autoptr(AshImageTree) image = ash_image_tree_new(NULL, NULL);
	g_autofree char *tree = NULL;
	g_autofree char *meta = NULL;
	g_autofree char *image_tree = NULL;
	g_autofree char *image_meta = NULL;
	AshImageCount count = {0};

	if (!ash_image_tree_write(layer, &memory->store, &count, &tree, &meta, NULL))
		return;
	if (apply(memory, image, tree, meta) && apply(memory, image, tree, meta) &&
			ash_image_tree_write(image, &memory->store, &count, &image_tree,
					&image_meta, NULL))
		g_assert_nonnull(image_tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(AshImageTree) layer = NULL;
	Input input = {data, size};
	ImageMemory memory;
	AshLayerNotes notes;
	uint64_t bytes = 0;

	image_memory_init(&memory);
	ash_layer_notes_init(&notes);
	if (ash_layer_unpack(supply, &input, MAX_BYTES, &memory.store, &notes, &layer, &bytes,
			    NULL)) {
		g_assert_cmpuint(bytes, <=, MAX_BYTES);
		check_layer(&memory, layer);
	}
	ash_layer_notes_clear(&notes);
	image_memory_clear(&memory);
	return 0;
}
