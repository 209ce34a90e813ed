/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/initrd.h"

static struct sockaddr address_of(const char *text)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
	} address = {.in = {.sin_family = AF_INET}};

	if (text && inet_pton(AF_INET, text, &address.in.sin_addr) != 1)
		ash_initrd_fail("'%s' is not an address", text);
	return address.any;
}

static void up(int fd, const char *name, const char *address)
{
	struct ifreq request = {0};

	strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
	if (address) {
		request.ifr_addr = address_of(address);
		if (ioctl(fd, SIOCSIFADDR, &request) < 0)
			ash_initrd_fail("%s: no address %s: %s", name, address, strerror(errno));
		request.ifr_netmask = address_of("255.255.255.255");
		if (ioctl(fd, SIOCSIFNETMASK, &request) < 0)
			ash_initrd_fail("%s: no netmask: %s", name, strerror(errno));
	}
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		ash_initrd_fail("there is no network card %s: %s", name, strerror(errno));
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		ash_initrd_fail("%s does not come up: %s", name, strerror(errno));
}

static void route(int fd, const char *name, const char *to, const char *mask, const char *gateway)
{
	char device[IFNAMSIZ] = "";
	struct rtentry entry = {
			.rt_dst = address_of(to),
			.rt_genmask = address_of(mask),
			.rt_flags = RTF_UP,
			.rt_dev = device,
	};

	strncpy(device, name, sizeof device - 1);
	if (gateway) {
		entry.rt_gateway = address_of(gateway);
		entry.rt_flags |= RTF_GATEWAY;
	} else
		entry.rt_flags |= RTF_HOST;
	if (ioctl(fd, SIOCADDRT, &entry) < 0 && errno != EEXIST)
		ash_initrd_fail("no route to %s by %s: %s", to, name, strerror(errno));
}

void ash_guest_link(const AshGuest *guest)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		ash_initrd_fail("no socket: %s", strerror(errno));
	up(fd, "lo", NULL);
	if (guest->address) {
		up(fd, "eth0", guest->address);
		/* The link is of one address to another: the gateway is named by itself first. */
		if (guest->gateway) {
			route(fd, "eth0", guest->gateway, "255.255.255.255", NULL);
			route(fd, "eth0", "0.0.0.0", "0.0.0.0", guest->gateway);
		}
	}
	close(fd);
}
