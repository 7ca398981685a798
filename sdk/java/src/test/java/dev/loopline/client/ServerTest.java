package dev.loopline.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A real server, given by {@code -Dserver=URL}, answers with the bytes of the vectors. */
@EnabledIfSystemProperty(named = "server", matches = ".+")
class ServerTest {
    private static FeaturesClient client(String team) {
        return FeaturesClient.of(System.getProperty("server"), team).build();
    }

    static List<Vectors> online() {
        return Vectors.of("online.json");
    }

    static List<Vectors> training() {
        return Vectors.of("training.json");
    }

    /** Online features, or the error, come as told. */
    @ParameterizedTest
    @MethodSource("online")
    void onlineFeatures(Vectors vector) {
        FeaturesClient client = client(vector.team());
        if (vector.status() == 200) {
            assertEquals(text(vector.response()), text(client.getOnline(vector.online()).raw()));
        } else {
            assertTold(vector, assertThrows(LooplineException.class, () -> client.getOnline(vector.online())));
        }
    }

    /** Training sets, or the error, come as told. */
    @ParameterizedTest
    @MethodSource("training")
    void trainingSets(Vectors vector) {
        FeaturesClient client = client(vector.team());
        if (vector.status() == 200) {
            assertEquals(text(vector.response()), text(client.getTrainingSet(vector.training()).raw()));
        } else {
            assertTold(vector, assertThrows(LooplineException.class, () -> client.getTrainingSet(vector.training())));
        }
    }

    /** All requests at once get each its own answer. */
    @Test
    void allAtOnce() {
        FeaturesClient client = client("shop");
        List<Vectors> good = online().stream().filter(vector -> vector.status() == 200).toList();
        List<CompletableFuture<OnlineFeatures>> answers =
                good.stream().map(vector -> client.getOnlineAsync(vector.online())).toList();
        for (int i = 0; i < good.size(); i++) {
            assertEquals(text(good.get(i).response()), text(answers.get(i).join().raw()));
        }
    }

    /** An error of an asynchronous call is the same exception, as the cause. */
    @Test
    void asynchronousErrors() {
        OnlineRequest request = OnlineRequest.features("history:colour").entity("customer_id", 1).build();
        CompletableFuture<OnlineFeatures> answer = client("shop").getOnlineAsync(request);
        Throwable cause = assertThrows(CompletionException.class, answer::join).getCause();
        assertEquals(404, ((LooplineException) cause).status());
    }

    private static void assertTold(Vectors vector, LooplineException failure) {
        LooplineException told = Answers.failure(vector.status(), vector.response());
        assertEquals(List.of(told.problem(), told.fix(), told.status()), List.of(failure.problem(), failure.fix(), failure.status()));
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
