package dev.loopline.client;

import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Map;

/** Reads answers that are no success, and says when to try again. */
final class Answers {
    private static final int SUCCESS = 200;
    private static final int UNAVAILABLE = 503;
    private static final long FIRST_DELAY_MS = 50;
    private static final long MOST_DELAY_MS = 10_000;

    private Answers() {}

    /** Read what went wrong; null when nothing did. */
    static LooplineException failure(HttpResponse<byte[]> answer) {
        return answer.statusCode() == SUCCESS ? null : failure(answer.statusCode(), answer.body());
    }

    static LooplineException failure(int status, byte[] body) {
        try {
            Map<String, Object> error = Values.asObject(JsonReader.readObject(body).get("error"), "error");
            String problem = Values.asText(error.get("problem"), "problem");
            return new LooplineException(problem, Values.asText(error.get("fix"), "fix"), status);
        } catch (LooplineException | NullPointerException other) {
            String fix = "see whether the URL is that of a feature service";
            return new LooplineException("the service answered " + status, fix, status, other);
        }
    }

    /** Say whether another try may help: no answer came, or the service cannot give one now. */
    static boolean isTransient(LooplineException failure) {
        return failure.status() == 0 || failure.status() == UNAVAILABLE;
    }

    /** Say how long to wait: what the answer asks for, else a little more each time. */
    static Duration delay(HttpResponse<byte[]> answer, int attempt) {
        long wanted = FIRST_DELAY_MS << attempt;
        if (answer != null) {
            wanted = answer.headers()
                    .firstValue("retry-after")
                    .filter(text -> text.matches("\\d{1,9}"))
                    .map(text -> Long.parseLong(text) * 1000)
                    .orElse(wanted);
        }
        return Duration.ofMillis(Math.min(wanted, MOST_DELAY_MS));
    }
}
