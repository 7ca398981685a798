package dev.loopline.client;

import java.util.List;
import java.util.Map;

/** Reads what came as JSON as the types that are wanted. */
final class Values {
    private Values() {}

    static Double asDouble(Object value, String name) {
        return value == null ? null : Double.valueOf(as(Number.class, value, name).doubleValue());
    }

    static Long asLong(Object value, String name) {
        JsonNumber number = as(JsonNumber.class, value, name);
        if (number != null && !number.isWhole()) {
            throw new LooplineException(name + " is " + number + ", no whole number", "read it as a double", 0);
        }
        return number == null ? null : Long.valueOf(number.longValue());
    }

    static String asText(Object value, String name) {
        return as(String.class, value, name);
    }

    static Boolean asBoolean(Object value, String name) {
        return as(Boolean.class, value, name);
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> asObject(Object value, String name) {
        return as(Map.class, value, name);
    }

    @SuppressWarnings("unchecked")
    static List<Object> asList(Object value, String name) {
        return as(List.class, value, name);
    }

    static double[] asVector(Object value, String name) {
        List<Object> numbers = asList(value, name);
        return numbers == null
                ? null
                : numbers.stream().mapToDouble(number -> as(Number.class, number, name).doubleValue()).toArray();
    }

    /** Get what an object has under a name, null included. */
    static Object get(Map<String, ?> object, String name) {
        if (!object.containsKey(name)) {
            throw new LooplineException("there is no " + name, "use one of " + String.join(", ", object.keySet()), 0);
        }
        return object.get(name);
    }

    private static <T> T as(Class<T> type, Object value, String name) {
        if (value != null && !type.isInstance(value)) {
            String problem = name + " is " + value + ", no " + type.getSimpleName();
            throw new LooplineException(problem, "read it as the type that the view gives it", 0);
        }
        return type.cast(value);
    }
}
