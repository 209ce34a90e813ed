/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/net-link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/magic.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	REQUEST_BYTES = 2048,
	ANSWER_BYTES = 64 << 10,
	BURST_BYTES = 128 << 10, /* more than one segment of 64 KiB */
	QUEUE_MS = 50,
};

#define SYSTEM(...) return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYSTEM, __VA_ARGS__)

/* ---- namespaces ---- */

void ash_net_place_free(AshNetPlace *place)
{
	if (!place)
		return;
	if (place->socket)
		mnl_socket_close(place->socket);
	if (place->fd >= 0)
		close(place->fd);
	g_free(place);
}

gboolean ash_net_place_enter(const AshNetPlace *place, GError **error)
{
	if (setns(place->fd, CLONE_NEWNET) != 0)
		return ash_throw_errno(error, "entering a network namespace");
	return TRUE;
}

static gboolean open_socket(AshNetPlace *place, GError **error)
{
	place->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!place->socket || mnl_socket_bind(place->socket, 0, MNL_SOCKET_AUTOPID) != 0)
		return ash_throw_errno(error, "netlink");
	/* A failing request comes back without its text, which may be long. */
	int one = 1;
	mnl_socket_setsockopt(place->socket, NETLINK_CAP_ACK, &one, sizeof one);
	mnl_socket_setsockopt(place->socket, NETLINK_GET_STRICT_CHK, &one, sizeof one);
	return TRUE;
}

gboolean ash_net_place_open(const char *path, AshNetPlace **out_place, GError **error)
{
	g_autoptr(AshNetPlace) place = g_new0(AshNetPlace, 1), own = NULL;

	place->fd = open(path ? path : "/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (place->fd < 0)
		return ash_throw_errno(error, "open(%s)", path ? path : "/proc/thread-self/ns/net");
	if (!path) {
		if (!open_socket(place, error))
			return FALSE;
		*out_place = g_steal_pointer(&place);
		return TRUE;
	}
	if (!ash_net_place_open(NULL, &own, error) || !ash_net_place_enter(place, error))
		return FALSE;
	gboolean is_open = open_socket(place, error);
	if (!ash_net_place_enter(own, is_open ? error : NULL) || !is_open)
		return FALSE;
	*out_place = g_steal_pointer(&place);
	return TRUE;
}

bool ash_net_space_is(const char *path)
{
	struct statfs status;

	return statfs(path, &status) == 0 && status.f_type == NSFS_MAGIC;
}

gboolean ash_net_space_make(const char *path, GError **error)
{
	ash_autofd int fd = open(path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0444);

	if (fd < 0)
		return ash_throw_errno(error, "open(%s)", path);
	if (unshare(CLONE_NEWNET) != 0)
		return ash_throw_errno(error, "making a network namespace");
	if (mount("/proc/thread-self/ns/net", path, NULL, MS_BIND, NULL) != 0)
		return ash_throw_errno(error, "mount(%s)", path);
	return TRUE;
}

gboolean ash_net_space_remove(const char *path, GError **error)
{
	/* Once for each time that it was mounted. */
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (errno != EINVAL && errno != ENOENT)
		return ash_throw_errno(error, "umount(%s)", path);
	if (unlink(path) != 0 && errno != ENOENT)
		return ash_throw_errno(error, "unlink(%s)", path);
	return TRUE;
}

gboolean ash_net_sysctl(const char *value, GError **error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_autofree char *name = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	g_autofree char *path = g_strconcat("/proc/sys/net/", name, NULL);
	ash_autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return TRUE;
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return ash_throw_errno(error, "%s", path);
	return TRUE;
}

/* ---- requests ---- */

/* A request that is being put together. */
typedef struct {
	char bytes[REQUEST_BYTES];
	struct nlmsghdr *header;
} Request;

static gpointer begin(Request *request, uint16_t type, unsigned flags, size_t extra)
{
	request->header = mnl_nlmsg_put_header(request->bytes);
	request->header->nlmsg_type = type;
	request->header->nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags);
	return mnl_nlmsg_put_extra_header(request->header, extra);
}

static gboolean send_request(AshNetPlace *place, Request *request, GError **error)
{
	request->header->nlmsg_seq = ++place->sequence;
	if (mnl_socket_sendto(place->socket, request->header, request->header->nlmsg_len) < 0)
		return ash_throw_errno(error, "netlink");
	return TRUE;
}

/* *out_errno: what the kernel has against it; 0. */
static gboolean ask(AshNetPlace *place, Request *request, int *out_errno, GError **error)
{
	char answer[REQUEST_BYTES];
	unsigned port = mnl_socket_get_portid(place->socket);

	request->header->nlmsg_flags |= NLM_F_ACK;
	if (!send_request(place, request, error))
		return FALSE;
	ssize_t size = mnl_socket_recvfrom(place->socket, answer, sizeof answer);
	if (size < 0)
		return ash_throw_errno(error, "netlink");
	int result = mnl_cb_run(answer, (size_t) size, place->sequence, port, NULL, NULL);
	*out_errno = result < 0 ? errno : 0;
	return TRUE;
}

/* @allowed: an errno that means that it is as it should be; 0. */
static gboolean tell(AshNetPlace *place, Request *request, int allowed, GError **error,
		const char *format, ...) G_GNUC_PRINTF(5, 6);
static gboolean tell(AshNetPlace *place, Request *request, int allowed, GError **error,
		const char *format, ...)
{
	va_list arguments;
	int refused;

	if (!ask(place, request, &refused, error))
		return FALSE;
	if (refused == 0 || refused == allowed)
		return TRUE;
	va_start(arguments, format);
	g_autofree char *what = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	SYSTEM("%s: %s", what, g_strerror(refused));
}

static gboolean dump(AshNetPlace *place, uint16_t type, size_t extra, unsigned char family,
		mnl_cb_t on_message, gpointer data, GError **error)
{
	g_autofree char *answer = g_malloc(ANSWER_BYTES);
	unsigned port = mnl_socket_get_portid(place->socket);
	Request request;
	int result;

	/* Each of these headers begins with the family. */
	*(unsigned char *) begin(&request, type, NLM_F_DUMP, extra) = family;
	if (!send_request(place, &request, error))
		return FALSE;
	do {
		ssize_t size = mnl_socket_recvfrom(place->socket, answer, ANSWER_BYTES);
		if (size < 0)
			return ash_throw_errno(error, "netlink");
		result = mnl_cb_run(answer, (size_t) size, place->sequence, port, on_message, data);
	} while (result > MNL_CB_STOP);
	if (result < 0)
		return ash_throw_errno(error, "netlink: listing");
	return TRUE;
}

/* ---- what is there ---- */

static void free_device(gpointer data)
{
	AshNetDevice *device = data;

	g_free(device->alias);
	g_free(device);
}

/* Attributes of one message, by type. */
enum {
	MAX_TYPE = 64,
};

typedef struct {
	const struct nlattr *of[MAX_TYPE];
} Attributes;

static int on_attribute(const struct nlattr *attribute, gpointer data)
{
	Attributes *attributes = data;

	if (mnl_attr_get_type(attribute) < MAX_TYPE)
		attributes->of[mnl_attr_get_type(attribute)] = attribute;
	return MNL_CB_OK;
}

static Attributes read_attributes(const struct nlmsghdr *header, size_t extra)
{
	Attributes attributes = {0};

	mnl_attr_parse(header, (unsigned) extra, on_attribute, &attributes);
	return attributes;
}

/* IFLA_LINKINFO of a port of a bridge. */
static bool is_isolated(const struct nlattr *info)
{
	Attributes attributes = {0}, port = {0};

	if (!info || mnl_attr_parse_nested(info, on_attribute, &attributes) < 0 ||
			!attributes.of[IFLA_INFO_SLAVE_KIND] ||
			!attributes.of[IFLA_INFO_SLAVE_DATA] ||
			strcmp(mnl_attr_get_str(attributes.of[IFLA_INFO_SLAVE_KIND]), "bridge") !=
					0 ||
			mnl_attr_parse_nested(attributes.of[IFLA_INFO_SLAVE_DATA], on_attribute,
					&port) < 0)
		return false;
	return port.of[IFLA_BRPORT_ISOLATED] && mnl_attr_get_u8(port.of[IFLA_BRPORT_ISOLATED]) != 0;
}

static int on_device(const struct nlmsghdr *header, gpointer data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(header);
	Attributes attributes = read_attributes(header, sizeof *info);
	const struct nlattr *mac = attributes.of[IFLA_ADDRESS];
	AshNetDevice *device = g_new0(AshNetDevice, 1);

	device->index = info->ifi_index;
	device->is_up = (info->ifi_flags & IFF_UP) != 0;
	device->is_isolated = is_isolated(attributes.of[IFLA_LINKINFO]);
	if (attributes.of[IFLA_IFNAME])
		g_strlcpy(device->name, mnl_attr_get_str(attributes.of[IFLA_IFNAME]),
				sizeof device->name);
	if (attributes.of[IFLA_MASTER])
		device->master = (int) mnl_attr_get_u32(attributes.of[IFLA_MASTER]);
	if (attributes.of[IFLA_IFALIAS])
		device->alias = g_strdup(mnl_attr_get_str(attributes.of[IFLA_IFALIAS]));
	if (mac && mnl_attr_get_payload_len(mac) == ASH_NET_MAC_BYTES)
		memcpy(device->mac, mnl_attr_get_payload(mac), ASH_NET_MAC_BYTES);
	g_hash_table_replace(data, device->name, device);
	return MNL_CB_OK;
}

gboolean ash_net_devices(AshNetPlace *place, GHashTable **out_devices, GError **error)
{
	g_autoptr(GHashTable) devices =
			g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_device);

	if (!dump(place, RTM_GETLINK, sizeof(struct ifinfomsg), AF_UNSPEC, on_device, devices,
			    error))
		return FALSE;
	*out_devices = g_steal_pointer(&devices);
	return TRUE;
}

typedef struct {
	GHashTable *names, *lines; /* index → name */
} Listing;

static const char *name_of(const Listing *listing, int index)
{
	const char *name = g_hash_table_lookup(listing->names, GINT_TO_POINTER(index));

	return name ? name : "?";
}

static char *address_of(const struct nlattr *attribute)
{
	return ash_net_address_text(ntohl(mnl_attr_get_u32(attribute)));
}

static int on_address(const struct nlmsghdr *header, gpointer data)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(header);
	const Listing *listing = data;
	Attributes attributes = read_attributes(header, sizeof *info);

	if (!attributes.of[IFA_LOCAL])
		return MNL_CB_OK;
	g_autofree char *address = address_of(attributes.of[IFA_LOCAL]);
	g_hash_table_add(listing->lines,
			g_strdup_printf("%s %s/%u", name_of(listing, (int) info->ifa_index),
					address, (unsigned) info->ifa_prefixlen));
	return MNL_CB_OK;
}

static int on_route(const struct nlmsghdr *header, gpointer data)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(header);
	const Listing *listing = data;
	Attributes attributes = read_attributes(header, sizeof *info);
	const struct nlattr *to = attributes.of[RTA_DST], *gateway = attributes.of[RTA_GATEWAY];

	if (info->rtm_table != RT_TABLE_MAIN || !attributes.of[RTA_OIF])
		return MNL_CB_OK;
	g_autofree char *address = to ? address_of(to) : gateway ? address_of(gateway) : NULL;
	const char *device = name_of(listing, (int) mnl_attr_get_u32(attributes.of[RTA_OIF]));
	g_hash_table_add(listing->lines, to ? g_strdup_printf("%s/%u dev %s", address,
							      (unsigned) info->rtm_dst_len, device)
					    : g_strdup_printf("default via %s dev %s",
							      address ? address : "-", device));
	return MNL_CB_OK;
}

gboolean ash_net_addresses(
		AshNetPlace *place, GHashTable *devices, GHashTable **out_lines, GError **error)
{
	g_autoptr(GHashTable) lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) names = g_hash_table_new(NULL, NULL);
	Listing listing = {names, lines};
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, devices);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		AshNetDevice *device = value;
		g_hash_table_insert(names, GINT_TO_POINTER(device->index), device->name);
	}
	if (!dump(place, RTM_GETADDR, sizeof(struct ifaddrmsg), AF_INET, on_address, &listing,
			    error) ||
			!dump(place, RTM_GETROUTE, sizeof(struct rtmsg), AF_INET, on_route,
					&listing, error))
		return FALSE;
	*out_lines = g_steal_pointer(&lines);
	return TRUE;
}

/* ---- devices ---- */

gboolean ash_net_pair_make(AshNetPlace *place, const char *name, const uint8_t *mac, int inner_fd,
		const uint8_t *inner_mac, GError **error)
{
	Request request;

	begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request.header, IFLA_IFNAME, name);
	mnl_attr_put(request.header, IFLA_ADDRESS, ASH_NET_MAC_BYTES, mac);
	struct nlattr *info = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
	mnl_attr_put_strz(request.header, IFLA_INFO_KIND, "veth");
	struct nlattr *data = mnl_attr_nest_start(request.header, IFLA_INFO_DATA);
	struct nlattr *peer = mnl_attr_nest_start(request.header, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(request.header, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request.header, IFLA_IFNAME, ASH_NET_INNER);
	mnl_attr_put(request.header, IFLA_ADDRESS, ASH_NET_MAC_BYTES, inner_mac);
	mnl_attr_put_u32(request.header, IFLA_NET_NS_FD, (uint32_t) inner_fd);
	mnl_attr_nest_end(request.header, peer);
	mnl_attr_nest_end(request.header, data);
	mnl_attr_nest_end(request.header, info);
	return tell(place, &request, 0, error, "making %s", name);
}

gboolean ash_net_bridge_make(
		AshNetPlace *place, const char *name, const uint8_t *mac, GError **error)
{
	Request request;

	begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request.header, IFLA_IFNAME, name);
	/* Else it has the one of whichever port has the lowest. */
	if (mac)
		mnl_attr_put(request.header, IFLA_ADDRESS, ASH_NET_MAC_BYTES, mac);
	struct nlattr *info = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
	mnl_attr_put_strz(request.header, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(request.header, info);
	return tell(place, &request, EEXIST, error, "making %s", name);
}

gboolean ash_net_tap_make(const char *name, uint32_t uid, GError **error)
{
	ash_autofd int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

	if (fd < 0)
		return ash_throw_errno(error, "/dev/net/tun");
	g_strlcpy(request.ifr_name, name, sizeof request.ifr_name);
	if (ioctl(fd, TUNSETIFF, &request) != 0 || ioctl(fd, TUNSETOWNER, (long) uid) != 0 ||
			ioctl(fd, TUNSETPERSIST, 1L) != 0)
		return ash_throw_errno(error, "making %s", name);
	return TRUE;
}

gboolean ash_net_device_remove(AshNetPlace *place, const char *name, GError **error)
{
	Request request;

	begin(&request, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request.header, IFLA_IFNAME, name);
	return tell(place, &request, ENODEV, error, "removing %s", name);
}

static int on_index(const struct nlmsghdr *header, gpointer data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(header);

	*(int *) data = info->ifi_index;
	return MNL_CB_STOP;
}

gboolean ash_net_device_index(AshNetPlace *place, const char *name, int *out_index, GError **error)
{
	char answer[ANSWER_BYTES / 4];
	unsigned port = mnl_socket_get_portid(place->socket);
	Request request;
	int index = 0;

	begin(&request, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request.header, IFLA_IFNAME, name);
	if (!send_request(place, &request, error))
		return FALSE;
	ssize_t size = mnl_socket_recvfrom(place->socket, answer, sizeof answer);
	if (size < 0)
		return ash_throw_errno(error, "netlink");
	if (mnl_cb_run(answer, (size_t) size, place->sequence, port, on_index, &index) < 0)
		SYSTEM("there is no interface '%s'", name);
	*out_index = index;
	return TRUE;
}

static void begin_change(Request *request, const char *name, unsigned flags)
{
	struct ifinfomsg *info = begin(request, RTM_NEWLINK, 0, sizeof *info);

	info->ifi_flags = flags;
	info->ifi_change = flags;
	mnl_attr_put_strz(request->header, IFLA_IFNAME, name);
}

gboolean ash_net_device_up(AshNetPlace *place, const char *name, GError **error)
{
	Request request;

	begin_change(&request, name, IFF_UP);
	return tell(place, &request, 0, error, "starting %s", name);
}

gboolean ash_net_device_join(AshNetPlace *place, const char *name, int bridge, GError **error)
{
	Request request;

	begin_change(&request, name, 0);
	mnl_attr_put_u32(request.header, IFLA_MASTER, (uint32_t) bridge);
	return tell(place, &request, 0, error, "joining %s to its bridge", name);
}

gboolean ash_net_device_isolate(
		AshNetPlace *place, const char *name, bool is_wanted, GError **error)
{
	Request request;

	begin_change(&request, name, 0);
	struct nlattr *info = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
	mnl_attr_put_strz(request.header, IFLA_INFO_SLAVE_KIND, "bridge");
	struct nlattr *port = mnl_attr_nest_start(request.header, IFLA_INFO_SLAVE_DATA);
	mnl_attr_put_u8(request.header, IFLA_BRPORT_ISOLATED, is_wanted);
	mnl_attr_nest_end(request.header, port);
	mnl_attr_nest_end(request.header, info);
	return tell(place, &request, 0, error, "isolating %s", name);
}

gboolean ash_net_device_label(
		AshNetPlace *place, const char *name, const char *alias, GError **error)
{
	Request request;

	begin_change(&request, name, 0);
	mnl_attr_put_strz(request.header, IFLA_IFALIAS, alias);
	return tell(place, &request, 0, error, "labelling %s", name);
}

/* ---- addresses, routes ---- */

gboolean ash_net_address_add(
		AshNetPlace *place, int index, uint32_t address, unsigned prefix, GError **error)
{
	Request request;
	struct ifaddrmsg *info =
			begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof *info);

	info->ifa_family = AF_INET;
	info->ifa_prefixlen = (unsigned char) prefix;
	info->ifa_index = (unsigned) index;
	mnl_attr_put_u32(request.header, IFA_LOCAL, htonl(address));
	mnl_attr_put_u32(request.header, IFA_ADDRESS, htonl(address));
	if (prefix < 31)
		mnl_attr_put_u32(request.header, IFA_BROADCAST,
				htonl(address | UINT32_MAX >> prefix));
	return tell(place, &request, EEXIST, error, "giving an address");
}

gboolean ash_net_route_add(AshNetPlace *place, int index, uint32_t to, unsigned prefix,
		uint32_t gateway, uint32_t source, GError **error)
{
	Request request;
	struct rtmsg *info =
			begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof *info);

	info->rtm_family = AF_INET;
	info->rtm_dst_len = (unsigned char) prefix;
	info->rtm_table = RT_TABLE_MAIN;
	info->rtm_protocol = RTPROT_STATIC;
	info->rtm_scope = gateway != 0 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	info->rtm_type = RTN_UNICAST;
	if (prefix != 0)
		mnl_attr_put_u32(request.header, RTA_DST, htonl(to));
	if (gateway != 0)
		mnl_attr_put_u32(request.header, RTA_GATEWAY, htonl(gateway));
	if (source != 0)
		mnl_attr_put_u32(request.header, RTA_PREFSRC, htonl(source));
	mnl_attr_put_u32(request.header, RTA_OIF, (uint32_t) index);
	g_autofree char *text = ash_net_address_text(to);
	return tell(place, &request, 0, error, "a route to %s/%u", text, prefix);
}

gboolean ash_net_neighbour_add(
		AshNetPlace *place, int index, uint32_t address, const uint8_t *mac, GError **error)
{
	Request request;
	struct ndmsg *info =
			begin(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof *info);

	info->ndm_family = AF_INET;
	info->ndm_ifindex = index;
	info->ndm_state = NUD_PERMANENT;
	mnl_attr_put_u32(request.header, NDA_DST, htonl(address));
	mnl_attr_put(request.header, NDA_LLADDR, ASH_NET_MAC_BYTES, mac);
	return tell(place, &request, 0, error, "naming a neighbour");
}

gboolean ash_net_limit(AshNetPlace *place, int index, uint64_t bandwidth_bytes, GError **error)
{
	bool is_removal = bandwidth_bytes == 0;
	Request request;
	struct tcmsg *info = begin(&request, is_removal ? RTM_DELQDISC : RTM_NEWQDISC,
			is_removal ? 0 : NLM_F_CREATE | NLM_F_REPLACE, sizeof *info);

	info->tcm_family = AF_UNSPEC;
	info->tcm_ifindex = index;
	info->tcm_handle = is_removal ? 0 : 0x10000;
	info->tcm_parent = TC_H_ROOT;
	if (is_removal) {
		int refused; /* there is none */
		return ask(place, &request, &refused, error);
	}
	uint64_t queue = MIN(bandwidth_bytes / 1000 * QUEUE_MS + BURST_BYTES, UINT32_MAX / 2);
	struct tc_tbf_qopt options = {
			.rate = {.rate = (uint32_t) MIN(bandwidth_bytes, UINT32_MAX),
					.linklayer = TC_LINKLAYER_ETHERNET},
			.limit = (uint32_t) queue,
	};
	mnl_attr_put_strz(request.header, TCA_KIND, "tbf");
	struct nlattr *nest = mnl_attr_nest_start(request.header, TCA_OPTIONS);
	mnl_attr_put(request.header, TCA_TBF_PARMS, sizeof options, &options);
	mnl_attr_put_u32(request.header, TCA_TBF_BURST, BURST_BYTES);
	if (bandwidth_bytes > UINT32_MAX)
		mnl_attr_put_u64(request.header, TCA_TBF_RATE64, bandwidth_bytes);
	mnl_attr_nest_end(request.header, nest);
	return tell(place, &request, 0, error, "limiting the bandwidth");
}
