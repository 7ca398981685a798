package dev.loopline.client;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Iterator;
import java.util.Map;

/** Writes JSON without a space, objects in their order: the bytes that every server and SDK writes. */
final class JsonWriter {
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);

    private final StringBuilder out = new StringBuilder();

    private JsonWriter() {}

    /** Write maps, iterables, text, numbers, truth values, instants (UTC, µs) and null. */
    static byte[] write(Object value) {
        JsonWriter writer = new JsonWriter();
        writer.value(value);
        return writer.out.toString().getBytes(StandardCharsets.UTF_8);
    }

    private void value(Object value) {
        if (value instanceof Map<?, ?> map) {
            object(map);
        } else if (value instanceof Iterable<?> items) {
            array(items);
        } else if (value instanceof CharSequence text) {
            string(text);
        } else if (value instanceof Instant instant) {
            string(TIME.format(instant));
        } else {
            out.append(plain(value));
        }
    }

    private static String plain(Object value) {
        if (value instanceof Double number) {
            return Doubles.text(number);
        }
        boolean whole = value instanceof Long || value instanceof Integer || value instanceof JsonNumber;
        if (value == null || value instanceof Boolean || whole) {
            return String.valueOf(value);
        }
        String problem = value.getClass().getName() + " is nothing that is sent";
        throw new LooplineException(problem, "send Long, Integer, Double, String, Boolean, Instant or null", 0);
    }

    private void object(Map<?, ?> map) {
        out.append('{');
        for (Iterator<? extends Map.Entry<?, ?>> each = map.entrySet().iterator(); each.hasNext(); ) {
            Map.Entry<?, ?> entry = each.next();
            string((String) entry.getKey());
            out.append(':');
            value(entry.getValue());
            out.append(each.hasNext() ? "," : "");
        }
        out.append('}');
    }

    private void array(Iterable<?> items) {
        out.append('[');
        for (Iterator<?> each = items.iterator(); each.hasNext(); ) {
            value(each.next());
            out.append(each.hasNext() ? "," : "");
        }
        out.append(']');
    }

    private void string(CharSequence text) {
        out.append('"');
        text.chars().forEach(letter -> escape((char) letter));
        out.append('"');
    }

    private void escape(char letter) {
        switch (letter) {
            case '"' -> out.append("\\\"");
            case '\\' -> out.append("\\\\");
            case '\b' -> out.append("\\b");
            case '\f' -> out.append("\\f");
            case '\n' -> out.append("\\n");
            case '\r' -> out.append("\\r");
            case '\t' -> out.append("\\t");
            default -> out.append(letter < ' ' ? String.format("\\u%04x", (int) letter) : letter);
        }
    }
}
