package dev.loopline.client;

import java.time.Instant;
import java.util.List;
import java.util.Map;

/**
 * The answer to a request for online features: a value per feature and row, a state per view and row.
 *
 * <p>Rows count from 0 in the order of the keys that were sent. A value is null where it is null in the store, and
 * where the row is missing or stale.
 */
public final class OnlineFeatures {
    private final byte[] raw;
    private final Map<String, Object> data;
    private final Map<String, Object> features;
    private final Map<String, Object> views;

    OnlineFeatures(byte[] raw) {
        this.raw = raw;
        data = JsonReader.readObject(raw);
        features = Values.asObject(Values.get(data, "features"), "features");
        views = Values.asObject(Values.get(data, "views"), "views");
    }

    /** The bytes as they came. */
    public byte[] raw() {
        return raw.clone();
    }

    /** The answer written again: the bytes are those of {@link #raw}. */
    public byte[] encode() {
        return JsonWriter.write(data);
    }

    /** The instant against which the time to live was held. */
    public Instant at() {
        return Instant.parse(Values.asText(data.get("at"), "at"));
    }

    /** The number of rows. */
    public int rows() {
        Map<String, Object> entities = Values.asObject(data.get("entities"), "entities");
        return entities.values().stream().mapToInt(keys -> Values.asList(keys, "keys").size()).max().orElse(0);
    }

    /** The names of the features, in order. */
    public List<String> features() {
        return List.copyOf(features.keySet());
    }

    /** A number, whole or not. */
    public Double getDouble(String feature, int row) {
        return Values.asDouble(value(feature, row), feature);
    }

    /** A whole number, exactly. */
    public Long getLong(String feature, int row) {
        return Values.asLong(value(feature, row), feature);
    }

    /** A text. */
    public String getText(String feature, int row) {
        return Values.asText(value(feature, row), feature);
    }

    /** A truth value. */
    public Boolean getBoolean(String feature, int row) {
        return Values.asBoolean(value(feature, row), feature);
    }

    /** A vector, as long in every row. */
    public double[] getVector(String feature, int row) {
        return Values.asVector(value(feature, row), feature);
    }

    /** What is behind a view's values in a row. */
    public Status status(String view, int row) {
        return Status.of(Values.asText(states(view, "status").get(row), view));
    }

    /** When the values of a row happened; null where the row is missing. */
    public Instant eventTime(String view, int row) {
        String time = Values.asText(states(view, "event_time").get(row), view);
        return time == null ? null : Instant.parse(time);
    }

    private Object value(String feature, int row) {
        return Values.asList(Values.get(features, feature), feature).get(row);
    }

    private List<Object> states(String view, String kind) {
        return Values.asList(Values.asObject(Values.get(views, view), view).get(kind), kind);
    }
}
