#!/usr/bin/env bash
# Fetches Keycloak by Maven and unpacks it below ${XDG_CACHE_HOME:-~/.cache}/loopline/keycloak, once, and says where. Needs Java
# 17 and Maven.
set -euo pipefail

version=26.7.3
cache=${XDG_CACHE_HOME:-$HOME/.cache}/loopline/keycloak
folder=$cache/keycloak-$version
if [ ! -e "$folder/.made" ]; then
    for program in java mvn; do
        command -v $program >/dev/null || {
            echo "$program is missing: install Java 17 and Maven, for example 'apt-get install openjdk-17-jre-headless maven'" >&2
            exit 1
        }
    done
    mkdir -p "$cache"
    exec 9>"$cache/.lock"
    flock 9 # test processes may ask at once
    if [ ! -e "$folder/.made" ]; then
        rm -rf "$folder"
        artifact=org.keycloak:keycloak-quarkus-dist:$version:zip
        mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dartifact="$artifact" -DoutputDirectory="$cache" >&2
        python3 -m zipfile -e "$cache/keycloak-quarkus-dist-$version.zip" "$cache"
        rm "$cache/keycloak-quarkus-dist-$version.zip"
        chmod +x "$folder"/bin/*.sh
        touch "$folder/.made" # last: it says that all is there
    fi
fi
echo "$folder"
