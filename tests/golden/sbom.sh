#!/bin/bash
# needs: root ostree jq python3
# SPDX-License-Identifier: Apache-2.0
# Bills of materials against the formats' own schemas, and against what they should say.
. tests/lib/tap.sh
. tests/lib/commit.sh

mkdir -p "$tmp/tree"
sha=$(printf 'a%.0s' {1..64})
commit=$(make_commit host/example/amd64 "$tmp/tree" 1.2 "['ro']" \
	"$(package base-files 13.8 arch amd64 sha256 "$sha" licenses 'GPL-2.0-or-later AND LicenseRef-verbatim' \
		maintainer 'Some Team <team@example.org>' homepage 'https://example.org/base?a=1')" \
	"$(package dpkg 1.22.21 arch amd64 sha256 "$sha" removed true licenses '(GPL-2.0-only OR MIT)')" \
	"$(package 'libstdc++6' '14.2.0-19' arch amd64 source gcc-14 summary 'GNU "C++" library')" \
	"$(package login '1:4.16.0-2+really2.41-5' arch amd64 source util-linux source-version 2.41-5 \
		homepage 'javascript:none' maintainer 'A Person <a@example.org>')")

for format in spdx cyclonedx; do
	ok "sbom --format $format" "$ashlar" sbom host/example/amd64 --repo "$repo" --format "$format"
	cp "$tmp/out" "$tmp/$format.json"
	ok "$format: the same to a file" "$ashlar" sbom "$commit" --repo "$repo" --format "$format" \
		-o "$tmp/again.json"
	ok "$format: byte for byte" cmp "$tmp/$format.json" "$tmp/again.json"
done

# validate DOCUMENT SCHEMA
# shellcheck disable=SC2317
validate()
{
	python3 -W ignore - "$@" <<-'END'
		import json, sys
		import jsonschema
		base = "tests/golden/schema/"
		def load(name):
		    with open(name) as file:
		        return json.load(file)
		schema = load(base + sys.argv[2])
		parts = {"spdx.schema.json": "cyclonedx-spdx.json",
		         "jsf-0.82.schema.json": "cyclonedx-jsf-0.82.json"}
		store = {}
		for name, file in parts.items():
		    part = load(base + file)
		    store[part["$id"]] = part
		    store["http://cyclonedx.org/schema/" + name] = part
		resolver = jsonschema.RefResolver(schema.get("$id", ""), schema, store)
		validator = jsonschema.Draft7Validator(schema, resolver=resolver,
		    format_checker=jsonschema.FormatChecker())
		errors = list(validator.iter_errors(load(sys.argv[1])))
		for error in errors:
		    print(list(error.path), error.message[:300])
		sys.exit(bool(errors))
	END
}

if python3 -c 'import jsonschema' 2>/dev/null; then
	ok "SPDX: the document is valid by its schema" validate "$tmp/spdx.json" spdx-2.3.json
	ok "CycloneDX: the document is valid by its schema" validate "$tmp/cyclonedx.json" cyclonedx-1.6.json
	jq 'del(.packages[0].SPDXID)' "$tmp/spdx.json" >"$tmp/bad.json"
	exits 1 "and the check would see an error" validate "$tmp/bad.json" spdx-2.3.json
elif [ "${ASH_MUST_RUN:-}" = 1 ]; then
	fail "python3-jsonschema is installed"
else
	skip "the documents are valid by their schemas" "needs python3-jsonschema"
fi

# query NAME DOCUMENT FILTER WANTED
query()
{
	is "$1" "$(jq -r "$3" "$tmp/$2.json" 2>&1)" "$4"
}

query "SPDX: time of the commit" spdx .creationInfo.created 2023-11-14T22:13:20Z
query "SPDX: name" spdx .name example-1.2-amd64
query "SPDX: identifiers are not used twice" spdx \
	'[.packages[].SPDXID] | length - (unique | length)' 0
query "SPDX: relations are between what is there" spdx \
	'([.packages[].SPDXID] + [.SPDXID]) as $all | [.relationships[] | .spdxElementId, .relatedSpdxElement]
	| unique - $all | length' 0
query "SPDX: package URLs are encoded" spdx \
	'.packages[] | select(.name == "libstdc++6") | .externalRefs[0].referenceLocator' \
	'pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=trixie'
query "SPDX: hash of the .deb" spdx \
	'.packages[] | select(.SPDXID == "SPDXRef-Package-base-files-amd64") | .checksums[0] | .algorithm + .checksumValue' "SHA256$sha"
query "SPDX: a team is an organization" spdx '.packages[] | select(.SPDXID == "SPDXRef-Package-base-files-amd64") | .supplier' \
	'Organization: Some Team (team@example.org)'
query "SPDX: a person is one" spdx '.packages[] | select(.SPDXID == "SPDXRef-Package-login-amd64") | .supplier' \
	'Person: A Person (a@example.org)'
query "SPDX: what was removed is no part of the image" spdx \
	'[.relationships[] | select(.spdxElementId == "SPDXRef-Package-dpkg-amd64") | .relationshipType] | sort
	| join(" ")' 'BUILD_DEPENDENCY_OF GENERATED_FROM'
query "SPDX: source packages" spdx \
	'.relationships[] | select(.spdxElementId == "SPDXRef-Package-login-amd64") | .relatedSpdxElement' \
	SPDXRef-Source-util-linux-2.41-5
query "SPDX: licences of no list are declared" spdx '[.hasExtractedLicensingInfos[].licenseId] | join(" ")' \
	LicenseRef-verbatim
query "SPDX: only web addresses are homepages" spdx '[.packages[] | .homepage // empty] | join(" ")' \
	'https://example.org/base?a=1'

query "CycloneDX: package URLs are encoded" cyclonedx '.components[] | select(.name == "login") | .purl' \
	'pkg:deb/debian/login@1:4.16.0-2%2Breally2.41-5?arch=amd64&distro=trixie&upstream=util-linux%402.41-5'
query "CycloneDX: what was removed is excluded" cyclonedx \
	'[.components[] | select(.scope == "excluded") | .name] | join(" ")' dpkg
query "CycloneDX: the image depends on the rest" cyclonedx '.dependencies[0] | .ref, (.dependsOn | length)' \
	"image
3"
query "CycloneDX: licence" cyclonedx '.components[] | select(.name == "dpkg") | .licenses[0].expression' \
	'(GPL-2.0-only OR MIT)'
query "CycloneDX: the commit is named" cyclonedx \
	'.metadata.component.properties[] | select(.name == "ashlar:commit") | .value' "$commit"
query "both have the same identifier" spdx .documentNamespace "$(jq -r .serialNumber "$tmp/cyclonedx.json")"

exits 2 "an unknown format is a usage error" "$ashlar" sbom host/example/amd64 --repo "$repo" --format xml
exits 3 "an unknown commit is an input error" "$ashlar" sbom host/none --repo "$repo"

done_testing
