/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "lib/json.h"
#include "lib/workload-key.h"

/* A definition as JSON with every default written out, keys in the order of the manual. The same
 * definition is always the same bytes: it is what is hashed and signed.
 */

/* Text that stays also when it is empty. */
static void add_text(JsonBuilder *json, const char *key, const char *value)
{
	json_builder_set_member_name(json, key);
	json_builder_add_string_value(json, value);
}

static void add_duration(JsonBuilder *json, const char *key, uint32_t ms)
{
	g_autofree char *text = ash_workload_format_duration(ms);

	add_text(json, key, text);
}

static void put_parameters(JsonBuilder *json, const GPtrArray *parameters)
{
	ash_json_begin_array(json, "parameters");
	for (guint i = 0; i < parameters->len; i++) {
		const AshWorkloadParameter *parameter = parameters->pdata[i];
		json_builder_begin_object(json);
		add_text(json, "name", parameter->name);
		add_text(json, "type", ash_workload_parameter_types[parameter->type]);
		if (parameter->value != NULL)
			add_text(json, "default", parameter->value);
		if (parameter->type == ASH_PARAMETER_INT)
			ash_json_add_int(json, "min", parameter->min);
		if (parameter->type == ASH_PARAMETER_INT || parameter->type == ASH_PARAMETER_STRING)
			ash_json_add_int(json, "max", parameter->max);
		if (parameter->type == ASH_PARAMETER_CHOICE)
			ash_json_add_texts(json, "choices", parameter->choices);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
}

static void put_environment(JsonBuilder *json, char *const *environment)
{
	ash_json_begin_object(json, "environment");
	for (; *environment != NULL; environment++) {
		g_auto(GStrv) parts = g_strsplit(*environment, "=", 2);
		add_text(json, parts[0], parts[1]);
	}
	json_builder_end_object(json);
}

static void put_isolation(JsonBuilder *json, const AshWorkload *w)
{
	ash_json_begin_object(json, "isolation");
	add_text(json, "class", ash_isolation_class_name(w->isolation));
	add_text(json, "at-least", ash_isolation_strength_name(w->at_least));
	json_builder_end_object(json);
	ash_json_add_bool(json, "boot", w->is_booted);
	if (w->machine.contract == ASH_MACHINE_HOST_KERNEL)
		return;
	ash_json_begin_object(json, "machine");
	add_text(json, "contract", ash_workload_contracts[w->machine.contract - ASH_MACHINE_LINUX]);
	add_text(json, "kernel", w->machine.kernel);
	ash_json_add_text(json, "initrd", w->machine.initrd);
	add_text(json, "arguments", w->machine.arguments);
	ash_json_add_texts(json, "modules", w->machine.modules);
	json_builder_end_object(json);
}

static void put_resources(JsonBuilder *json, const AshWorkload *w)
{
	g_autofree char *cpu = g_strdup_printf(
			"%" PRIu32 ".%03" PRIu32, w->cpu_milli / 1000, w->cpu_milli % 1000);

	ash_json_begin_object(json, "resources");
	add_text(json, "cpu", cpu);
	ash_json_add_uint(json, "memory", w->memory_bytes);
	ash_json_add_uint(json, "tasks", w->tasks);
	ash_json_add_uint(json, "disk", w->disk_bytes);
	ash_json_add_uint(json, "descriptors", w->descriptors);
	json_builder_end_object(json);
}

char *ash_workload_port_text(const AshWorkloadPort *port)
{
	bool is_v6 = strchr(port->address, ':') != NULL;

	return g_strdup_printf("%s%s%s%s%u:%u%s", is_v6 ? "[" : "", port->address, is_v6 ? "]" : "",
			*port->address != '\0' ? ":" : "", port->host_port, port->port,
			port->is_udp ? "/udp" : "");
}

char *ash_workload_egress_text(const AshWorkloadEgress *egress)
{
	bool is_v6 = strchr(egress->target, ':') != NULL;
	g_autofree char *port = egress->port != 0 ? g_strdup_printf(":%u%s", egress->port,
								    egress->is_udp ? "/udp" : "")
						  : g_strdup("");

	return g_strconcat(is_v6 ? "[" : "", egress->target, is_v6 ? "]" : "", port, NULL);
}

static void put_network(JsonBuilder *json, const AshWorkloadNetwork *network)
{
	ash_json_begin_object(json, "network");
	add_text(json, "mode", ash_network_mode_name(network->mode));
	ash_json_add_text(json, "name", network->name);
	if (network->is_isolated)
		ash_json_add_bool(json, "isolated", true);
	ash_json_add_text(json, "provider", network->provider);
	ash_json_begin_array(json, "publish");
	for (guint i = 0; i < network->publish->len; i++) {
		g_autofree char *text = ash_workload_port_text(network->publish->pdata[i]);
		json_builder_add_string_value(json, text);
	}
	json_builder_end_array(json);
	ash_json_begin_array(json, "egress");
	for (guint i = 0; i < network->egress->len; i++) {
		g_autofree char *text = ash_workload_egress_text(network->egress->pdata[i]);
		json_builder_add_string_value(json, text);
	}
	json_builder_end_array(json);
	ash_json_add_uint(json, "bandwidth", network->bandwidth_bytes);
	ash_json_add_uint(json, "connections", network->connections);
	json_builder_end_object(json);
}

static void put_services(JsonBuilder *json, const char *key, const GPtrArray *services)
{
	ash_json_begin_array(json, key);
	for (guint i = 0; i < services->len; i++) {
		const AshWorkloadService *service = services->pdata[i];
		json_builder_begin_object(json);
		add_text(json, "name", service->name);
		ash_json_add_text(json, "socket", service->socket);
		if (service->call != NULL)
			ash_json_add_texts(json, "call", service->call);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
}

static void put_files(JsonBuilder *json, const AshWorkload *w)
{
	ash_json_begin_array(json, "volumes");
	for (guint i = 0; i < w->volumes->len; i++) {
		const AshWorkloadVolume *volume = w->volumes->pdata[i];
		json_builder_begin_object(json);
		add_text(json, "name", volume->name);
		add_text(json, "path", volume->path);
		ash_json_add_uint(json, "size", volume->size_bytes);
		ash_json_add_bool(json, "read-only", volume->is_read_only);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	ash_json_add_texts(json, "capabilities", w->capabilities);
	ash_json_add_texts(json, "devices", w->devices);
	ash_json_begin_array(json, "secrets");
	for (guint i = 0; i < w->secrets->len; i++) {
		const AshWorkloadSecret *secret = w->secrets->pdata[i];
		json_builder_begin_object(json);
		add_text(json, "name", secret->name);
		add_text(json, "path", secret->path);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	ash_json_begin_object(json, "system-calls");
	if (w->calls_only != NULL) {
		ash_json_add_texts(json, "only", w->calls_only);
	} else {
		ash_json_add_texts(json, "add", w->calls_added);
		ash_json_add_texts(json, "remove", w->calls_removed);
	}
	json_builder_end_object(json);
}

static void put_check(JsonBuilder *json, const AshHealthCheck *check)
{
	json_builder_begin_object(json);
	add_text(json, "name", check->name);
	add_text(json, "class", check->is_required ? "required" : "wanted");
	add_duration(json, "timeout", check->timeout_ms);
	if (check->has_interval)
		add_duration(json, "interval", check->interval_ms);
	ash_json_add_uint(json, "failures", check->failures);
	if (check->kind == ASH_HEALTH_COMMAND) {
		ash_json_add_texts(json, "command", check->command);
	} else if (check->kind == ASH_HEALTH_SPACE) {
		ash_json_begin_object(json, "space");
		add_text(json, "path", check->target);
		ash_json_add_uint(json, "bytes", check->bytes);
		ash_json_add_uint(json, "inodes", check->inodes);
		json_builder_end_object(json);
	} else {
		add_text(json, ash_health_kind_name(check->kind), check->target);
	}
	json_builder_end_object(json);
}

static void put_life(JsonBuilder *json, const AshWorkload *w)
{
	ash_json_begin_object(json, "health");
	add_duration(json, "soak", w->health->soak_ms);
	add_duration(json, "deadline", w->health->deadline_ms);
	ash_json_begin_array(json, "checks");
	for (guint i = 0; i < w->health->checks->len; i++)
		put_check(json, w->health->checks->pdata[i]);
	json_builder_end_array(json);
	json_builder_end_object(json);
	if (w->heartbeat_ms > 0) {
		ash_json_begin_object(json, "heartbeat");
		add_duration(json, "every", w->heartbeat_ms);
		json_builder_end_object(json);
	}
	ash_json_begin_object(json, "restart");
	add_text(json, "policy", ash_workload_policies[w->restart.policy]);
	add_duration(json, "first", w->restart.first_ms);
	add_duration(json, "longest", w->restart.longest_ms);
	ash_json_add_uint(json, "budget", w->restart.budget);
	add_duration(json, "within", w->restart.within_ms);
	json_builder_end_object(json);
	add_text(json, "scope", w->is_system ? "system" : "user");
	ash_json_add_uint(json, "instances", w->instances);
	ash_json_add_texts(json, "after", w->after);
	ash_json_add_bool(json, "required", w->is_required);
	ash_json_add_bool(json, "disposable", w->is_disposable);
}

char *ash_workload_format(const AshWorkload *w)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	add_text(json, "workload", w->name);
	add_text(json, "version", w->version);
	ash_json_add_text(json, "summary", w->summary);
	add_text(json, "image", w->image.text);
	if (w->command != NULL)
		ash_json_add_texts(json, "command", w->command);
	put_environment(json, w->environment);
	ash_json_add_text(json, "directory", w->directory);
	ash_json_add_text(json, "user", w->user);
	put_parameters(json, w->parameters);
	put_isolation(json, w);
	put_resources(json, w);
	put_network(json, &w->network);
	put_services(json, "provides", w->provides);
	put_services(json, "requires", w->requires);
	put_files(json, w);
	put_life(json, w);
	json_builder_end_object(json);
	return ash_json_format(json, false);
}
