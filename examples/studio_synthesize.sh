#!/bin/sh
# Have a studio play a score:   sh examples/studio_synthesize.sh http://127.0.0.1:8000 song.mid song.wav
# ONDES_TOKEN holds the token, where the server has one.
set -eu
url=$1 score=$2 output=$3

ask() { # leaves what the server says in $answer
    answer=$(curl --fail-with-body --silent --show-error --header "Authorization: Bearer ${ONDES_TOKEN:-}" "$@") ||
        { echo "$answer" >&2; exit 2; }
}
first_id() { printf '%s' "$answer" | sed 's/^{"id":"\([0-9a-f]*\)".*/\1/'; }

ask --form "file=@$score" "$url/v1/files"
file=$(first_id)
ask --json "{\"score\": \"$file\", \"seed\": 7, \"steps\": 8}" "$url/v1/synthesize"
job=$(first_id)
# To hear it while it is made:   curl -s "$url/v1/stream/$job" | ffplay -nodisp -autoexit -
ask "$url/v1/jobs/$job/events" # until the job ends; the last event names its files
made=$(printf '%s' "$answer" | sed -n 's/^data: .*"files":\[{"id":"\([0-9a-f]*\)".*/\1/p')
[ -n "$made" ] || { echo "$answer" >&2; exit 2; }
ask --output "$output" "$url/v1/files/$made"
