package dev.loopline.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Requests and answers are the bytes of the shared vectors. */
class VectorsTest {
    static List<Vectors> online() {
        return Vectors.of("online.json");
    }

    static List<Vectors> training() {
        return Vectors.of("training.json");
    }

    /** A call for online features sends the bytes that every other SDK sends. */
    @ParameterizedTest
    @MethodSource("online")
    void onlineRequestsAreTheSameBytes(Vectors vector) {
        assertEquals(text(vector.request()), text(vector.online().body(vector.team())));
    }

    /** A call for a training set sends the bytes that every other SDK sends. */
    @ParameterizedTest
    @MethodSource("training")
    void trainingRequestsAreTheSameBytes(Vectors vector) {
        assertEquals(text(vector.request()), text(vector.training().body(vector.team())));
    }

    /** An answer that is read and written again is the same bytes; an error gives both its words. */
    @ParameterizedTest
    @MethodSource("online")
    void onlineAnswersAreReadWhole(Vectors vector) {
        if (vector.status() == 200) {
            OnlineFeatures answer = new OnlineFeatures(vector.response());
            assertEquals(text(vector.response()), text(answer.encode()));
        } else {
            assertBothWords(vector);
        }
    }

    /** Rows that are read and written again are the same bytes. */
    @ParameterizedTest
    @MethodSource("training")
    void trainingAnswersAreReadWhole(Vectors vector) {
        if (vector.status() == 200) {
            assertEquals(text(vector.response()), text(new TrainingSet(vector.response(), null).encode()));
        } else {
            assertBothWords(vector);
        }
    }

    /** A double is written with the fewest digits that read back, in the one form. */
    @Test
    void doublesHaveTheirShortestText() {
        List<Map<String, Object>> numbers = Vectors.entries("numbers.json");
        assertTrue(numbers.size() > 300);
        for (Map<String, Object> number : numbers) {
            double value = Double.longBitsToDouble(Long.parseUnsignedLong((String) number.get("bits"), 16));
            assertEquals(number.get("text"), Doubles.text(value));
        }
    }

    private static void assertBothWords(Vectors vector) {
        LooplineException failure = Answers.failure(vector.status(), vector.response());
        assertEquals(vector.status(), failure.status());
        Map<String, String> words = Map.of("problem", failure.problem(), "fix", failure.fix());
        Map<String, Object> error = Values.asObject(JsonReader.readObject(vector.response()).get("error"), "error");
        assertEquals(error, words);
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
