# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Simulated hosts for tests that source tests/lib/tap.sh and tests/lib/fleet.bash first: each has a key and a certificate,
# checks in over mutual TLS, and takes what it is told.
#
#	release_add VERSION [PACKAGES]    into the fleet; its commit is release_commit VERSION; PACKAGES: "openssl=3.0.1-1 …"
#	hosts_join COUNT LABELS      hosts edge-1… join by a token of the admin's; LABELS is JSON
#	hosts_round [HOST…]          they check in once, all at a time; answers are taken in. Fails when one was not answered
#	hosts_on VERSION             how many run it
#	hosts_forget                 of another fleet, from the first on
#
# host_version[I], host_failed[I] (a version that it remembers as bad), host_moves[I] (how often it booted something
# else), host_offers[I] ("2.0 2.0": how often it was told anew to take something) tell what became of them; host_more[I] is said too, as
# further members of its check-in. What is in $bad_versions fails on every host that takes it; what is in $bad_hosts ("3:2.0") on one.

hosts=$tmp/hosts
host_count=0
declare -A host_more host_version host_failed host_boot host_seq host_have host_moves host_offers
bad_versions=
bad_hosts=
mkdir -p "$hosts"

hosts_forget()
{
	host_count=0
	host_more=() host_version=() host_failed=() host_boot=() host_seq=() host_have=() host_moves=() host_offers=()
	rm -rf "$hosts"
	mkdir -p "$hosts"
}

release_commit()
{
	sha256sum <<<"release $1" | cut -d' ' -f1
}

release_add()
{
	local document
	document=$(jq -nc --arg version "$1" --arg commit "$(release_commit "$1")" '{type: "ashlar-release", format: 1,
		name: "host", variant: "", architecture: "amd64", version: $version, commit: $commit, "replaces-min": "",
		created: "2026-11-22T10:00:00Z", size: {bytes: 1, inodes: 1, "boot-bytes": 1, "archive-bytes": 1,
		"largest-object-bytes": 1}, deltas: [], notes: ""}')
	api POST /v1/releases "$(jq -nc --arg document "$document" --arg packages "${2:-}" '{document: $document} +
		if $packages == "" then {} else {packages: [$packages | splits(" +") | split("=") |
			{name: .[0], version: .[1], arch: "amd64"}]} end')"
	[[ $status = 20* ]]
}

hosts_join()
{
	local count=$1 labels=$2 i token csr
	api POST /v1/tokens "{\"note\":\"test\",\"labels\":$labels,\"uses\":$count,\"expires_in\":3600}"
	token=$(jq -r .secret <<<"$body")
	for ((i = host_count + 1; i <= host_count + count; i++)); do
		openssl ecparam -name prime256v1 -genkey -noout -out "$hosts/$i.key" 2>/dev/null
		openssl req -new -key "$hosts/$i.key" -subj "/CN=edge-$i" -out "$hosts/$i.csr" 2>/dev/null
		csr=$(jq -Rs . <"$hosts/$i.csr")
		curl -sS --cacert "$fleet_ca" --max-time 30 -o "$hosts/$i.joined" -H 'Content-Type: application/json' \
			--data-binary "{\"token\":\"$token\",\"csr\":$csr,\"name\":\"edge-$i\",\"instance\":\"$(printf '%032x' "$i")\",\"facts\":{}}" \
			"$fleet_url/v1/join" || return
		jq -re .certificate "$hosts/$i.joined" >"$hosts/$i.pem" || return
		jq -r .id "$hosts/$i.joined" >"$hosts/$i.id"
		host_version[$i]=1.0 host_failed[$i]='' host_boot[$i]=1 host_seq[$i]=0 host_have[$i]=0
		host_moves[$i]=0 host_offers[$i]=
	done
	host_count=$((host_count + count))
}

# host_body HOST: its check-in, whole each time.
host_body()
{
	local i=$1 failed=
	[ -z "${host_failed[$i]}" ] || failed="{\"commit\":\"$(release_commit "${host_failed[$i]}")\",\"version\":\"${host_failed[$i]}\",\"kind\":\"bad\",\"reason\":\"the web server did not start\"}"
	printf '{"seq":%d,"instance":"%032x","boot":"boot-%d-%d","wait":0,"have":%d,"state":{"state":"idle","since":1,"booted":{"commit":"%s","version":"%s","name":"host","variant":"","arch":"amd64"},"verdict":"good","failed":[%s]}%s}' \
		"${host_seq[$i]}" "$i" "$i" "${host_boot[$i]}" "${host_have[$i]}" \
		"$(release_commit "${host_version[$i]}")" "${host_version[$i]}" "$failed" "${host_more[$i]:+,${host_more[$i]}}"
}

# host_told HOST VERSION: it boots that, or fails to.
host_told()
{
	local i=$1 version=$2
	host_offers[$i]+="$version "
	host_boot[$i]=$((host_boot[$i] + 1))
	case " $bad_versions $bad_hosts " in
	*" $version "* | *" $i:$version "*)
		host_failed[$i]=$version
		;;
	*)
		host_version[$i]=$version
		host_moves[$i]=$((host_moves[$i] + 1))
		;;
	esac
}

hosts_round()
{
	local i answered=0 desired version name asked
	[ $# -gt 0 ] || mapfile -t asked < <(seq 1 "$host_count")
	[ $# -eq 0 ] || asked=("$@")
	rm -f "$hosts"/*.answer
	: >"$hosts/config"
	for i in "${asked[@]}"; do
		host_seq[$i]=$((host_seq[$i] + 1))
		host_body "$i" >"$hosts/$i.body"
		printf '%s\n' "next" "url = \"$fleet_url/v1/checkin\"" "cacert = \"$fleet_ca\"" "silent" "max-time = 30" \
			"cert = \"$hosts/$i.pem\"" "key = \"$hosts/$i.key\"" "header = \"Content-Type: application/json\"" \
			"data-binary = \"@$hosts/$i.body\"" "output = \"$hosts/$i.answer\"" >>"$hosts/config"
	done
	sed -i 1d "$hosts/config"
	curl -Z --parallel-max 20 --config "$hosts/config" 2>"$hosts/curl.err"
	for i in "${asked[@]}"; do
		[ -s "$hosts/$i.answer" ] || echo '{}' >"$hosts/$i.answer"
	done
	while IFS=$'\t' read -r name desired version; do
		i=${name##*/} i=${i%.answer}
		[ "$desired" != none ] || continue
		answered=$((answered + 1))
		[ "$desired" != same ] || continue
		host_have[$i]=$desired
		[ "$version" = none ] || [ "$version" = "${host_version[$i]}" ] || host_told "$i" "$version"
	done < <(cd "$hosts" && jq -r 'input_filename + "\t" +
		(if .seq == null then "none" else (.desired // "same" | tostring) end) + "\t" +
		(.release.version // "none")' "${asked[@]/%/.answer}")
	[ "$answered" -eq ${#asked[@]} ]
}

hosts_on()
{
	local i count=0
	for i in "${!host_version[@]}"; do
		[ "${host_version[$i]}" != "$1" ] || count=$((count + 1))
	done
	echo "$count"
}
