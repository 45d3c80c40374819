#!/bin/sh
# Cleans one day of flights and of weather.
#
# INPUT1_STAGING_DIR   flights.csv.gz as it came, with a header line and NA for what is missing
# INPUT2_STAGING_DIR   weather.csv.gz, likewise
# OUTPUT1_STAGING_DIR  gets flights.csv.gz: no header line, the needed columns, \N for what is missing
# OUTPUT2_STAGING_DIR  gets weather.csv.gz, likewise
set -eu

# clean FILE COLUMNS: prints the local day (yyyy-MM-dd) and the named columns of each row.
clean() {
    gzip -t "$1"
    gzip -dc "$1" | awk -F, -v file="$1" -v columns="$2" '
        function refuse(reason) {
            print file ", line " NR ": " reason > "/dev/stderr"
            refused = 1
            exit 1
        }
        NR == 1 {
            for (i = 1; i <= NF; i++) place[$i] = i
            width = NF
            count = split("year,month,day," columns, column, ",")
            for (i = 1; i <= count; i++)
                if (!(column[i] in place)) refuse("there is no column " column[i])
            next
        }
        NF != width { refuse(NF " values where the header has " width) }
        /["\\]/ { refuse("a quote or a backslash, which this script does not read") }
        {
            line = sprintf("%04d-%02d-%02d", $(place["year"]), $(place["month"]), $(place["day"]))
            for (i = 4; i <= count; i++) {
                value = $(place[column[i]])
                line = line "," (value == "NA" ? "\\N" : value)
            }
            print line
        }
        END {
            if (!refused && NR == 0) refuse("the file is empty")
        }'
}

clean "${INPUT1_STAGING_DIR}/flights.csv.gz" \
    carrier,flight,tailnum,origin,dest,sched_dep_time,dep_time,dep_delay,arr_delay,distance \
    > "${OUTPUT1_STAGING_DIR}/flights.csv"
clean "${INPUT2_STAGING_DIR}/weather.csv.gz" \
    origin,hour,temp,wind_speed,precip,visib \
    > "${OUTPUT2_STAGING_DIR}/weather.csv"

wc -l "${OUTPUT1_STAGING_DIR}/flights.csv" "${OUTPUT2_STAGING_DIR}/weather.csv"
gzip -nf "${OUTPUT1_STAGING_DIR}/flights.csv" "${OUTPUT2_STAGING_DIR}/weather.csv"
