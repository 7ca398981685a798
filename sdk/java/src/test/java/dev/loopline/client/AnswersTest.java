package dev.loopline.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers are read by type; what cannot be read says why. */
class AnswersTest {
    private static OnlineFeatures everyType() {
        return new OnlineFeatures(response("online.json", "every type, and integers at their edges"));
    }

    private static byte[] response(String file, String name) {
        return Vectors.of(file).stream()
                .filter(vector -> vector.name().equals(name))
                .map(Vectors::response)
                .findFirst()
                .orElseThrow();
    }

    /** Each type has its accessor, and whole numbers beyond 2^53 keep their last digit. */
    @Test
    void valuesComeTyped() {
        OnlineFeatures answer = everyType();
        assertEquals(7, answer.rows());
        assertEquals(12.5, answer.getDouble("history:spend", 0));
        assertEquals(3L, answer.getLong("history:orders", 0));
        assertEquals("rød vase", answer.getText("history:article", 0));
        assertEquals(true, answer.getBoolean("history:member", 0));
        assertEquals(9007199254740993L, answer.getLong("history:orders", 4));
        assertEquals(-0.0, answer.getDouble("history:spend", 5));
        assertEquals(List.of("history:spend", "history:orders", "history:article", "history:member"), answer.features());
    }

    /** A stale row has no values, but still its event time. */
    @Test
    void statesComeTyped() {
        OnlineFeatures answer = everyType();
        assertEquals(Instant.parse("2026-03-01T12:00:00Z"), answer.at());
        assertEquals(Status.PRESENT, answer.status("history", 0));
        assertEquals(Status.STALE, answer.status("history", 1));
        assertNull(answer.getDouble("history:spend", 1));
        assertEquals(Instant.parse("2026-02-22T11:59:59.999999Z"), answer.eventTime("history", 1));
    }

    /** Asked for another type, or for what is not there, the error names it and says what to do. */
    @Test
    void mistakesAreNamed() {
        OnlineFeatures answer = everyType();
        LooplineException fraction =
                assertThrows(LooplineException.class, () -> answer.getLong("history:spend", 0));
        assertEquals("history:spend is 12.5, no whole number", fraction.problem());
        assertEquals("read it as a double", fraction.fix());
        LooplineException text = assertThrows(LooplineException.class, () -> answer.getDouble("history:article", 0));
        assertTrue(text.problem().contains("rød vase"));
        LooplineException unknown = assertThrows(LooplineException.class, () -> answer.getText("history:colour", 0));
        assertTrue(unknown.fix().contains("history:member"));
    }

    /** A vector comes as its numbers, online and in a training set; null where there is none. */
    @Test
    void embeddingsComeTyped() {
        OnlineFeatures answer = new OnlineFeatures(response("online.json", "a vector is one value"));
        assertArrayEquals(new double[] {1.0, -0.0, 0.1 + 0.2}, answer.getVector("likeness:meaning", 0));
        assertNull(answer.getVector("likeness:meaning", 1));
        assertEquals(Status.PRESENT, answer.status("likeness", 1));
        assertNull(answer.getVector("likeness:meaning", 2));
        assertEquals(Status.MISSING, answer.status("likeness", 2));
        assertArrayEquals(new double[] {5e-324, 1e22, -Double.MAX_VALUE}, answer.getVector("likeness:meaning", 3));
        TrainingSet set = new TrainingSet(response("training.json", "a vector is one value"), null);
        assertArrayEquals(new double[] {0.00001, 1e16, -1.5}, set.rows().get(0).getVector("likeness:meaning"));
        assertArrayEquals(new double[] {1.0, -0.0, 0.1 + 0.2}, set.rows().get(1).getVector("likeness:meaning"));
        assertNull(set.rows().get(3).getVector("likeness:meaning"));
    }

    /** What is no vector is told so, and a vector is no number. */
    @Test
    void vectorsAreNotMistaken() {
        LooplineException number = assertThrows(LooplineException.class, () -> everyType().getVector("history:spend", 0));
        assertEquals("history:spend is 12.5, no List", number.problem());
        OnlineFeatures answer = new OnlineFeatures(response("online.json", "a vector is one value"));
        LooplineException vector =
                assertThrows(LooplineException.class, () -> answer.getDouble("likeness:meaning", 0));
        assertEquals("likeness:meaning is [1.0, -0.0, 0.30000000000000004], no Number", vector.problem());
    }

    /** Rows of a training set are read by type as well. */
    @Test
    void trainingRowsComeTyped() {
        String line = "{\"customer_id\":7,\"event_time\":\"2026-03-01T12:00:00.000000Z\",\"history:spend\":null,\"label\":1.0}";
        TrainingSet set = new TrainingSet((line + "\n").getBytes(StandardCharsets.UTF_8), "large-1");
        TrainingSet.Row row = set.rows().get(0);
        assertEquals(7L, row.getLong("customer_id"));
        assertEquals(Instant.parse("2026-03-01T12:00:00Z"), row.getInstant("event_time"));
        assertNull(row.getDouble("history:spend"));
        assertEquals(1.0, row.getDouble("label"));
        assertEquals("large-1", set.trainingSetId().orElseThrow());
    }

    /** Spaces, escapes and nesting are read; they are written in the one form. */
    @Test
    void jsonIsReadInAnyForm() {
        byte[] loose = " { \"a\" : [ 1 , -2.50e+3, true , null ] , \"\\u00e9\\/\" : { } } ".getBytes(StandardCharsets.UTF_8);
        assertEquals("{\"a\":[1,-2.50e+3,true,null],\"é/\":{}}", new String(JsonWriter.write(JsonReader.read(loose)), StandardCharsets.UTF_8));
    }

    /** What is no JSON is told, never half read. */
    @ParameterizedTest
    @ValueSource(strings = {"", "{", "[1,", "\"a", "{\"a\" 1}", "[1] 2", "nul", "oops", "{\"a\":}"})
    void brokenJsonIsRefused(String text) {
        byte[] json = text.getBytes(StandardCharsets.UTF_8);
        assertTrue(assertThrows(LooplineException.class, () -> JsonReader.read(json)).problem().contains("no JSON"));
    }

    /** What JSON cannot hold is refused when it is sent. */
    @Test
    void strangeValuesAreNotSent() {
        TrainingRequest request = TrainingRequest.features("history").column("x", List.of(new Object())).build();
        assertTrue(assertThrows(LooplineException.class, () -> request.body("shop")).fix().contains("Long"));
    }
}
