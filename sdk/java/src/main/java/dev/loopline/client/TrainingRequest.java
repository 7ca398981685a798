package dev.loopline.client;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Features as they were known when each of your rows happened; or a model's training set. */
public final class TrainingRequest {
    private final List<String> features;
    private final String model;
    private final String version;
    private final Map<String, List<?>> columns;
    private final Instant asOf;

    private TrainingRequest(Builder builder) {
        features = builder.features;
        model = builder.model;
        version = builder.version;
        columns = builder.columns.isEmpty() ? null : new LinkedHashMap<>(builder.columns);
        asOf = builder.asOf;
    }

    /** Ask for features by name, for rows that are given column by column. */
    public static Builder features(String... names) {
        return new Builder(List.of(names), null);
    }

    /** Ask for the training set of a model. */
    public static Builder model(String name) {
        return new Builder(null, name);
    }

    static Builder of(List<String> features, String model) {
        return new Builder(features, model);
    }

    byte[] body(String team) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("team", team);
        fields.put("features", features);
        fields.put("model", model);
        fields.put("version", version);
        fields.put("rows", columns);
        fields.put("as_of", asOf);
        fields.values().removeIf(value -> value == null);
        return JsonWriter.write(fields);
    }

    /** Collects what a request says. */
    public static final class Builder {
        private final List<String> features;
        private final String model;
        private final Map<String, List<?>> columns = new LinkedHashMap<>();
        private String version;
        private Instant asOf;

        private Builder(List<String> features, String model) {
            this.features = features;
            this.model = model;
        }

        /** Give a column of your rows: an entity, or whatever is to come back beside the features. */
        public Builder column(String name, List<?> values) {
            columns.put(name, new ArrayList<>(values));
            return this;
        }

        /** Give the column {@code event_time}: when each of your rows happened. */
        public Builder eventTimes(Instant... times) {
            return column("event_time", Arrays.asList(times));
        }

        /** Ask for the rows on which this version of the model was trained, bit for bit. */
        public Builder version(String number) {
            version = number;
            return this;
        }

        /** Let nothing count that became known later. */
        public Builder asOf(Instant instant) {
            asOf = instant;
            return this;
        }

        /** Make the request. */
        public TrainingRequest build() {
            return new TrainingRequest(this);
        }
    }
}
