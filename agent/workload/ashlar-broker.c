/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/workload/broker.h"

static const char help[] =
		"Usage: ashlar-broker [--root DIR]\n\n"
		"Carries calls between workloads, under the policy in /etc/ashlar/policy.d.\n"
		"ashlar-workloadd starts it; see ashlar-broker(8).\n";

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *dir = g_path_get_dirname(self ? self : "/usr/lib/ashlar/ashlar-broker");
	g_autofree char *launch = g_build_filename(dir, "ashlar-launch", NULL);
	AshBrokerPlaces places = {.root = "", .launch = launch};

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(help, stdout) < 0;
	if (argc == 3 && strcmp(argv[1], "--root") == 0)
		places.root = argv[2];
	else if (argc != 1) {
		fprintf(stderr, "%s", help);
		return 2;
	}
	/* A call that reads the environment of its broker learns nothing. */
	clearenv();
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	if (!ash_broker_run(&places, &error)) {
		fprintf(stderr, "ashlar-broker: %s\n", error->message);
		return 1;
	}
	return 0;
}
