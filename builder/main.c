/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/assemble.h"
#include "builder/build.h"
#include "builder/cmd.h"
#include "builder/configure.h"
#include "builder/customise.h"
#include "builder/deb.h"
#include "builder/deb822.h"
#include "builder/diff.h"
#include "builder/image-spec.h"
#include "builder/image.h"
#include "builder/initramfs.h"
#include "builder/kernel.h"
#include "builder/keys.h"
#include "builder/layout.h"
#include "builder/lint.h"
#include "builder/lock.h"
#include "builder/manifest.h"
#include "builder/package.h"
#include "builder/passphrase.h"
#include "builder/publication.h"
#include "builder/repo.h"
#include "builder/signing.h"
#include "builder/solve.h"
#include "builder/source.h"
#include "builder/sysroot.h"
#include "builder/units.h"
#include "builder/users.h"
#include "builder/vm.h"
#include "lib/cli.h"
#include "lib/fetch.h"
#include "lib/health-spec.h"
#include "lib/workload.h"
#include "lib/yaml.h"

enum {
	ANY = -1,
};

/* The first row that fits gives the code; ASH_EXIT_FAILED is for what has no row. */
static int exit_for(const GError *error)
{
	const struct {
		GQuark domain;
		int code; /* of the domain, or ANY */
		AshExit exit;
	} rows[] = {
			{ASH_ASSEMBLE_ERROR, ANY, ASH_EXIT_UNSOLVABLE},
			{ASH_BUILD_ERROR, ASH_BUILD_ERROR_HOST, ASH_EXIT_INPUT},
			{ASH_CONFIGURE_ERROR, ASH_CONFIGURE_ERROR_DPKG, ASH_EXIT_INPUT},
			{ASH_CUSTOMISE_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_DEB_ERROR, ANY, ASH_EXIT_UNTRUSTED},
			{ASH_DEB822_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_DIFF_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_FETCH_ERROR, ASH_FETCH_ERROR_MISMATCH, ASH_EXIT_UNTRUSTED},
			{ASH_FETCH_ERROR, ASH_FETCH_ERROR_TLS, ASH_EXIT_UNTRUSTED},
			{ASH_FETCH_ERROR, ASH_FETCH_ERROR_TOO_BIG, ASH_EXIT_UNTRUSTED},
			{ASH_FETCH_ERROR, ANY, ASH_EXIT_UNREACHABLE},
			{ASH_IMAGE_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_IMAGE_SPEC_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_INITRAMFS_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_KERNEL_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_KEYS_ERROR, ASH_KEYS_ERROR_EXPIRED, ASH_EXIT_UNTRUSTED},
			{ASH_KEYS_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_LAYOUT_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_LINT_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_LOCK_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_MANIFEST_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_PACKAGE_ERROR, ANY, ASH_EXIT_UNTRUSTED},
			{ASH_PASSPHRASE_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_AMBIGUOUS, ASH_EXIT_USAGE},
			{ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_DAMAGED, ASH_EXIT_UNTRUSTED},
			{ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_OTHER_ROOT,
					ASH_EXIT_UNTRUSTED},
			{ASH_PUBLICATION_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_REPO_ERROR, ASH_REPO_ERROR_NOT_FOUND, ASH_EXIT_INPUT},
			{ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SIGNATURE, ASH_EXIT_UNTRUSTED},
			{ASH_SIGNING_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_SOLVE_ERROR, ANY, ASH_EXIT_UNSOLVABLE},
			{ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SIGNATURE, ASH_EXIT_UNTRUSTED},
			{ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_EXPIRED, ASH_EXIT_UNTRUSTED},
			{ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_MISMATCH, ASH_EXIT_UNTRUSTED},
			{ASH_SOURCE_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_SYSROOT_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_UNITS_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_USERS_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_VM_ERROR, ASH_VM_ERROR_ENVIRONMENT, ASH_EXIT_ENVIRONMENT},
			{ASH_VM_ERROR, ASH_VM_ERROR_FORWARD, ASH_EXIT_USAGE},
			{ASH_VM_ERROR, ASH_VM_ERROR_IMAGE, ASH_EXIT_INPUT},
			{ASH_WORKLOAD_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_HEALTH_SPEC_ERROR, ANY, ASH_EXIT_INPUT},
			{ASH_YAML_ERROR, ANY, ASH_EXIT_INPUT},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (error->domain == rows[i].domain &&
				(rows[i].code == ANY || rows[i].code == error->code))
			return (int) rows[i].exit;
	return 0;
}

int main(int argc, char **argv)
{
	/* Alphabetical; 'ashlar --help' prints them in this order. */
	const AshCliCommand commands[] = {
			ash_cmd_build,
			ash_cmd_bundle,
			ash_cmd_cache,
			ash_cmd_diff,
			ash_cmd_image,
			ash_cmd_key,
			ash_cmd_lint,
			ash_cmd_lock,
			ash_cmd_publish,
			ash_cmd_recall,
			ash_cmd_release,
			ash_cmd_run,
			ash_cmd_sbom,
			ash_cmd_schema,
			ash_cmd_verify,
			ash_cmd_workload,
			{0},
	};
	const AshCliProgram program = {
			.name = "ashlar",
			.summary = "Composes minimal, read-only Debian hosts from manifests.",
			.commands = commands,
			.exit_for = exit_for,
	};

	return ash_cli_main(&program, argc, argv);
}
