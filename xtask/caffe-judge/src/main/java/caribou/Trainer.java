package caribou;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.caffe.FloatBlob;
import org.bytedeco.caffe.FloatNet;
import org.bytedeco.caffe.FloatSolver;
import org.bytedeco.caffe.FloatSolverRegistry;
import org.bytedeco.caffe.SolverParameter;
import org.bytedeco.caffe.global.caffe;

/** Trains a network with one of Caffe's solvers, on batches that are used one after the other and then again. */
final class Trainer {
    private Trainer() {}

    /**
     * The loss of each of {@code steps=} batches before its step, as text: the sum of all losses, each by its weight,
     * without penalties. {@code solver=} names the network, {@code weights=} where it starts, and {@code batches=NAME:FILE}
     * for each input an array whose first axis counts batches.
     */
    static List<String> train(Request request) throws IOException {
        SolverParameter parameters = new SolverParameter();
        caffe.ReadSolverParamsFromTextFileOrDie(request.only("solver"), parameters);
        FloatSolver solver = FloatSolverRegistry.CreateSolver(parameters);
        FloatNet net = solver.net();
        net.CopyTrainedLayersFrom(request.only("weights"));
        Map<String, Npy> arrays = new LinkedHashMap<>();
        for (String input : request.all("batches")) {
            int colon = input.indexOf(':');
            arrays.put(input.substring(0, colon), Npy.read(Path.of(input.substring(colon + 1))));
        }
        List<String> losses = new ArrayList<>();
        int steps = Integer.parseInt(request.only("steps"));
        for (int step = 0; step < steps; step++) {
            arrays.forEach((name, array) -> {
                int[] shape = array.shape();
                net.blob_by_name(name).Reshape(Arrays.copyOfRange(shape, 1, shape.length));
            });
            net.Reshape();
            for (Map.Entry<String, Npy> each : arrays.entrySet()) {
                float[] values = each.getValue().values();
                int count = each.getValue().shape()[0];
                int size = values.length / count;
                int from = step % count * size;
                net.blob_by_name(each.getKey()).mutable_cpu_data().put(Arrays.copyOfRange(values, from, from + size));
            }
            solver.Step(1);
            losses.add(Double.toString(loss(net)));
        }
        return losses;
    }

    /** The losses of the last step forward, which blobs still hold when the step has been taken. */
    private static double loss(FloatNet net) {
        double sum = 0;
        for (int i = 0; i < net.blobs().size(); i++) {
            float weight = net.blob_loss_weights().get(i);
            if (weight == 0) {
                continue;
            }
            FloatBlob blob = net.blobs().get(i);
            float[] values = new float[blob.count()];
            blob.cpu_data().get(values);
            for (float value : values) {
                sum += (double) weight * value;
            }
        }
        return sum;
    }
}
