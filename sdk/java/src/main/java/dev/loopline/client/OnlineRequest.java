package dev.loopline.client;

import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Which features of which entities; made by {@link #features} or {@link #model}, then told the entities. */
public final class OnlineRequest {
    private final List<String> features;
    private final String model;
    private final Map<String, List<?>> entities;
    private final Instant at;

    private OnlineRequest(Builder builder) {
        features = builder.features;
        model = builder.model;
        entities = new LinkedHashMap<>(builder.entities);
        at = builder.at;
    }

    /** Ask for features by name: {@code "view:feature"}, {@code "view"} for all of it, {@code "view@2:feature"}. */
    public static Builder features(String... names) {
        return new Builder(List.of(names), null);
    }

    /** Ask for the features of a model that are served online. */
    public static Builder model(String name) {
        return new Builder(null, name);
    }

    static Builder of(List<String> features, String model) {
        return new Builder(features, model);
    }

    /** The body of the request: the same call gives the same bytes in every language. */
    byte[] body(String team) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("team", team);
        fields.put("features", features);
        fields.put("model", model);
        fields.put("entities", entities);
        fields.put("at", at);
        fields.values().removeIf(value -> value == null);
        return JsonWriter.write(fields);
    }

    /** Collects what a request says. */
    public static final class Builder {
        private final List<String> features;
        private final String model;
        private final Map<String, List<?>> entities = new LinkedHashMap<>();
        private Instant at;

        private Builder(List<String> features, String model) {
            this.features = features;
            this.model = model;
        }

        /** Give the keys of an entity, one a row; every entity has as many. */
        public Builder entity(String name, long... keys) {
            List<Long> all = new ArrayList<>();
            for (long key : keys) {
                all.add(key);
            }
            return keys(name, all);
        }

        /** Give the keys of an entity, one a row; every entity has as many. */
        public Builder entity(String name, String... keys) {
            return keys(name, List.of(keys));
        }

        /** Give keys that are Long, Integer or String, one a row. */
        public Builder keys(String name, List<?> keys) {
            entities.put(name, List.copyOf(keys));
            return this;
        }

        /** Hold the time to live against this instant; without it the service's clock counts. */
        public Builder at(Instant instant) {
            at = instant;
            return this;
        }

        /** Make the request. */
        public OnlineRequest build() {
            return new OnlineRequest(this);
        }
    }
}
