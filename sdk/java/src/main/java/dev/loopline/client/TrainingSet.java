package dev.loopline.client;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Rows with features as they were known: a JSON object a line. */
public final class TrainingSet {
    private final byte[] raw;
    private final String trainingSetId;
    private final List<Map<String, Object>> rows;

    TrainingSet(byte[] raw, String trainingSetId) {
        this.raw = raw;
        this.trainingSetId = trainingSetId;
        rows = new String(raw, StandardCharsets.UTF_8)
                .lines()
                .map(line -> JsonReader.readObject(line.getBytes(StandardCharsets.UTF_8)))
                .toList();
    }

    /** The bytes as they came. */
    public byte[] raw() {
        return raw.clone();
    }

    /** What pins a model's training set; rows of your own have none. */
    public Optional<String> trainingSetId() {
        return Optional.ofNullable(trainingSetId);
    }

    /** The rows, in the order in which they were sent; a model's by event time. */
    public List<Row> rows() {
        return rows.stream().map(Row::new).toList();
    }

    /** The rows written again: the bytes are those of {@link #raw}. */
    public byte[] encode() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (Map<String, Object> row : rows) {
            out.writeBytes(JsonWriter.write(row));
            out.write('\n');
        }
        return out.toByteArray();
    }

    /** One row; a value is null where it is null in the table or nothing was known. */
    public static final class Row {
        private final Map<String, Object> values;

        private Row(Map<String, Object> values) {
            this.values = values;
        }

        /** The names of the columns. */
        public Set<String> columns() {
            return values.keySet();
        }

        /** A number, whole or not. */
        public Double getDouble(String column) {
            return Values.asDouble(Values.get(values, column), column);
        }

        /** A whole number, exactly. */
        public Long getLong(String column) {
            return Values.asLong(Values.get(values, column), column);
        }

        /** A text. */
        public String getText(String column) {
            return Values.asText(Values.get(values, column), column);
        }

        /** A truth value. */
        public Boolean getBoolean(String column) {
            return Values.asBoolean(Values.get(values, column), column);
        }

        /** A vector, as long in every row. */
        public double[] getVector(String column) {
            return Values.asVector(Values.get(values, column), column);
        }

        /** An instant, such as {@code event_time}. */
        public Instant getInstant(String column) {
            String time = getText(column);
            return time == null ? null : Instant.parse(time);
        }
    }
}
