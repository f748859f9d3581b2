# top-words.sh FOLDER N: the N most frequent words of FOLDER/counts.tsv. Any language would do: a stage is a command, the
# files that it reads (deps, inputs) and the files that it writes (outs).
set -eu
head -n "$2" "$1/counts.tsv" | while read -r count word; do echo "$word ($count)"; done
