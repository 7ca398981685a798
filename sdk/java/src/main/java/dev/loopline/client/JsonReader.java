package dev.loopline.client;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads JSON into maps (in their order), lists, text, {@link JsonNumber}, truth values and null. */
final class JsonReader {
    private final String text;
    private int at;

    private JsonReader(String text) {
        this.text = text;
    }

    /** Read a whole text; anything else than one value of JSON is refused. */
    static Object read(byte[] json) {
        JsonReader reader = new JsonReader(new String(json, StandardCharsets.UTF_8));
        Object value = reader.value();
        reader.skipSpace();
        if (reader.at < reader.text.length()) {
            throw reader.broken("the end");
        }
        return value;
    }

    /** Read an object. */
    @SuppressWarnings("unchecked")
    static Map<String, Object> readObject(byte[] json) {
        if (read(json) instanceof Map<?, ?> map) {
            return (Map<String, Object>) map;
        }
        throw new LooplineException("the answer is no JSON object", "see whether the URL is that of a feature service", 0);
    }

    private Object value() {
        skipSpace();
        return switch (next()) {
            case '{' -> object();
            case '[' -> array();
            case '"' -> string();
            case 't' -> word("true", Boolean.TRUE);
            case 'f' -> word("false", Boolean.FALSE);
            case 'n' -> word("null", null);
            default -> number();
        };
    }

    private Map<String, Object> object() {
        Map<String, Object> found = new LinkedHashMap<>();
        take('{');
        skipSpace();
        if (!found(  '}')) {
            do {
                skipSpace();
                String name = string();
                skipSpace();
                take(':');
                found.put(name, value());
                skipSpace();
            } while (found(','));
            take('}');
        }
        return found;
    }

    private List<Object> array() {
        List<Object> found = new ArrayList<>();
        take('[');
        skipSpace();
        if (!found(']')) {
            do {
                found.add(value());
                skipSpace();
            } while (found(','));
            take(']');
        }
        return found;
    }

    private String string() {
        take('"');
        StringBuilder found = new StringBuilder();
        while (next() != '"') {
            char letter = text.charAt(at++);
            found.append(letter == '\\' ? escaped() : letter);
        }
        at++;
        return found.toString();
    }

    private char escaped() {
        char letter = next();
        at++;
        return switch (letter) {
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> (char) Integer.parseInt(text.substring(at, at += 4), 16);
            default -> letter;
        };
    }

    private JsonNumber number() {
        int from = at;
        while (at < text.length() && "+-.0123456789eE".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        if (from == at) {
            throw broken("a value");
        }
        return new JsonNumber(text.substring(from, at));
    }

    private Object word(String word, Object meaning) {
        if (!text.startsWith(word, at)) {
            throw broken(word);
        }
        at += word.length();
        return meaning;
    }

    private void skipSpace() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private boolean found(char wanted) {
        boolean found = next() == wanted;
        at += found ? 1 : 0;
        return found;
    }

    private void take(char wanted) {
        if (!found(wanted)) {
            throw broken("'" + wanted + "'");
        }
    }

    private char next() {
        if (at >= text.length()) {
            throw broken("more");
        }
        return text.charAt(at);
    }

    private LooplineException broken(String wanted) {
        String problem = "the answer is no JSON: at letter " + at + " it lacks " + wanted;
        return new LooplineException(problem, "see whether the URL is that of a feature service", 0);
    }
}
