#!/usr/bin/env bash
# Fetches Apache Kafka's jars for the tests' broker into .peers/kafka/libs, once. Needs Java 17 and Maven.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=.peers/kafka
# The same pom means the same jars.
cmp -s tests/kafka/pom.xml "$folder/pom.xml" && exit 0
for program in java mvn; do
    command -v $program >/dev/null || {
        echo "$program is missing: install Java 17 and Maven, for example 'apt-get install openjdk-17-jre-headless maven'" >&2
        exit 1
    }
done
mkdir -p "$folder"
exec 9>"$folder/.lock"
flock 9 # test processes may ask at once
cmp -s tests/kafka/pom.xml "$folder/pom.xml" && exit 0
rm -rf "$folder/libs"
mvn -q -B -f tests/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$PWD/$folder/libs"
cp tests/kafka/pom.xml "$folder/pom.xml" # last: it says that the jars are whole
