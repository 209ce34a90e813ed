/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/selector.h"

/* What fleet/selector-parse.c makes and fleet/selector.c evaluates; nobody else includes this. */

typedef enum {
	ASH_SELECTOR_KEY_LABEL_OR_FACT,
	ASH_SELECTOR_KEY_LABEL,
	ASH_SELECTOR_KEY_FACT,
	ASH_SELECTOR_KEY_OWN, /* a text of AshHost */
	ASH_SELECTOR_KEY_ID,
	ASH_SELECTOR_KEY_STATE,
	ASH_SELECTOR_KEY_HEALTH,
	ASH_SELECTOR_KEY_ENROLLED,
	ASH_SELECTOR_KEY_SEEN,
	ASH_SELECTOR_KEY_WORKLOAD,       /* its version */
	ASH_SELECTOR_KEY_WORKLOAD_READY, /* "true", "false" */
} AshSelectorKeyKind;

struct AshSelectorKey {
	AshSelectorKeyKind kind;
	bool is_stable, is_version;
	size_t offset; /* of an own text */
	char *name;    /* of the label, fact or workload */
	char *text;    /* as it is written */
};

typedef enum {
	ASH_SELECTOR_ALL,
	ASH_SELECTOR_NONE,
	ASH_SELECTOR_OR,
	ASH_SELECTOR_AND,
	ASH_SELECTOR_NOT,
	ASH_SELECTOR_HAS,
	ASH_SELECTOR_HOST,
	ASH_SELECTOR_IN, /* '=' is one value */
	ASH_SELECTOR_NOT_EQUAL,
	ASH_SELECTOR_GLOB,
	ASH_SELECTOR_NUMBER,
	ASH_SELECTOR_VERSION,
	ASH_SELECTOR_AGE,
} AshSelectorNodeKind;

typedef enum {
	ASH_SELECTOR_BELOW,
	ASH_SELECTOR_AT_MOST,
	ASH_SELECTOR_ABOVE,
	ASH_SELECTOR_AT_LEAST,
} AshSelectorOrder;

typedef struct AshSelectorNode AshSelectorNode;
struct AshSelectorNode {
	AshSelectorNodeKind kind;
	AshSelectorKey *key;
	GPtrArray *children; /* AshSelectorNode, of OR, AND and NOT */
	GPtrArray *values;   /* char * */
	AshSelectorOrder order;
	double number; /* of NUMBER; of AGE in seconds */
	uint8_t id[ASH_HOST_ID_BYTES];
	unsigned digits; /* of the id */
};

struct AshSelector {
	gatomicrefcount references;
	bool is_stable;
	AshSelectorNode *root;
};

AshSelectorNode *ash_selector_node_new(AshSelectorNodeKind kind);
void ash_selector_node_free(AshSelectorNode *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshSelectorNode, ash_selector_node_free)
AshSelector *ash_selector_take(AshSelectorNode *take_root);

/* The key that @text means; never fails: what is not a host's own is a label or fact. */
AshSelectorKey *ash_selector_key_new(const char *text);
bool ash_selector_key_is_text(const AshSelectorKey *key); /* own: cannot be compared by < */
bool ash_selector_key_is_age(const AshSelectorKey *key);

/* "8GiB", "-3", "1.5h": false: no number. */
bool ash_selector_number(const char *text, double *out_number);
bool ash_selector_is_reserved(const char *word);
bool ash_selector_is_bare(char c);
