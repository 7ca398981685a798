package dev.loopline.client;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Map;

/** The shared vectors of {@code sdk/vectors}: what a call sends and what comes back, byte for byte. */
record Vectors(String name, Map<String, Object> call, byte[] request, int status, byte[] response) {
    private static final Path FOLDER = Path.of("..", "vectors");

    /** Those of one file that an SDK can send. */
    static List<Vectors> of(String file) {
        return entries(file).stream().map(Vectors::vector).filter(each -> each.call != null).toList();
    }

    static List<Map<String, Object>> entries(String file) {
        try {
            List<Object> entries = Values.asList(JsonReader.read(Files.readAllBytes(FOLDER.resolve(file))), file);
            return entries.stream().map(entry -> Values.asObject(entry, file)).toList();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    OnlineRequest online() {
        OnlineRequest.Builder builder = OnlineRequest.of(names(), Values.asText(call.get("model"), "model"));
        Values.asObject(call.get("entities"), "entities")
                .forEach((entity, keys) -> builder.keys(entity, Values.asList(keys, entity)));
        return builder.at(instant("at")).build();
    }

    TrainingRequest training() {
        TrainingRequest.Builder builder = TrainingRequest.of(names(), Values.asText(call.get("model"), "model"));
        if (call.get("rows") != null) {
            Values.asObject(call.get("rows"), "rows").forEach((name, column) -> builder.column(name, typed(name, column)));
        }
        return builder.version(Values.asText(call.get("version"), "version")).asOf(instant("as_of")).build();
    }

    String team() {
        return Values.asText(call.get("team"), "team");
    }

    /** Give numbers as doubles and times as instants, as a caller would: the SDK has to find their text. */
    private static List<?> typed(String name, Object column) {
        return Values.asList(column, name).stream()
                .<Object>map(value -> "event_time".equals(name) ? parsed((String) value) : typed(value))
                .toList();
    }

    private static Object typed(Object value) {
        return value instanceof JsonNumber number && !number.isWhole() ? (Object) number.doubleValue() : value;
    }

    private List<String> names() {
        List<Object> names = Values.asList(call.get("features"), "features");
        return names == null ? null : names.stream().map(String.class::cast).toList();
    }

    private Instant instant(String field) {
        return parsed(Values.asText(call.get(field), field));
    }

    private static Instant parsed(String text) {
        return text == null ? null : OffsetDateTime.parse(text).toInstant();
    }

    private static Vectors vector(Map<String, Object> entry) {
        Map<String, Object> call = Values.asObject(entry.get("call"), "call");
        int status = Values.asLong(entry.get("status"), "status").intValue();
        return new Vectors((String) entry.get("name"), call, bytes(entry, "request"), status, bytes(entry, "response"));
    }

    private static byte[] bytes(Map<String, Object> entry, String field) {
        return ((String) entry.get(field)).getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public String toString() {
        return name;
    }
}
